"""The svcctl interface as it is served: one table, operation to function.

Numbers that are not in it, those reserved for local use among them, are answered by the fault for
an operation out of range.
"""

from __future__ import annotations

from scmd.server.administration import (
    lock,
    notify_boot,
    query_lock,
    query_security,
    set_security,
    unlock,
)
from scmd.server.enumerations import enum_dependents, enum_group, enum_services, enum_services_ex
from scmd.server.notify import close_notify_handle, get_notify_results, notify_status_change
from scmd.server.opening import (
    close_handle,
    get_display_name,
    get_key_name,
    open_scm,
    open_service,
)
from scmd.server.queries import query_config, query_config2, query_config_ex
from scmd.server.records import change, change2, create, create_wow, delete
from scmd.server.running import (
    control,
    control_ex,
    query_status,
    query_status_ex,
    set_status,
    start,
)
from scmd.server.steps import served, table
from scmd.svcctl.administration import (
    CLOSE_NOTIFY_HANDLE,
    GET_NOTIFY_RESULTS,
    LOCK_SERVICE_DATABASE,
    NOTIFY_BOOT_CONFIG_STATUS,
    NOTIFY_SERVICE_STATUS_CHANGE,
    QUERY_SERVICE_LOCK_STATUS_A,
    QUERY_SERVICE_LOCK_STATUS_W,
    QUERY_SERVICE_OBJECT_SECURITY,
    SET_SERVICE_OBJECT_SECURITY,
    UNLOCK_SERVICE_DATABASE,
)
from scmd.svcctl.configuration import (
    CHANGE_SERVICE_CONFIG_2_A,
    CHANGE_SERVICE_CONFIG_2_W,
    CHANGE_SERVICE_CONFIG_A,
    CHANGE_SERVICE_CONFIG_W,
    CREATE_SERVICE_A,
    CREATE_SERVICE_W,
    CREATE_SERVICE_WOW64_A,
    CREATE_SERVICE_WOW64_W,
    CREATE_WOW_SERVICE,
    DELETE_SERVICE,
    QUERY_SERVICE_CONFIG_2_A,
    QUERY_SERVICE_CONFIG_2_W,
    QUERY_SERVICE_CONFIG_A,
    QUERY_SERVICE_CONFIG_EX,
    QUERY_SERVICE_CONFIG_W,
)
from scmd.svcctl.control import (
    CONTROL_SERVICE,
    CONTROL_SERVICE_EX_A,
    CONTROL_SERVICE_EX_W,
    ENUM_DEPENDENT_SERVICES_A,
    ENUM_DEPENDENT_SERVICES_W,
    ENUM_SERVICE_GROUP_W,
    ENUM_SERVICES_STATUS_A,
    ENUM_SERVICES_STATUS_EX_A,
    ENUM_SERVICES_STATUS_EX_W,
    ENUM_SERVICES_STATUS_W,
    GET_SERVICE_DISPLAY_NAME_A,
    GET_SERVICE_DISPLAY_NAME_W,
    GET_SERVICE_KEY_NAME_A,
    GET_SERVICE_KEY_NAME_W,
    QUERY_SERVICE_STATUS,
    QUERY_SERVICE_STATUS_EX,
    SET_SERVICE_STATUS,
    START_SERVICE_A,
    START_SERVICE_W,
)
from scmd.svcctl.opening import (
    CLOSE_SERVICE_HANDLE,
    OPEN_SC_MANAGER_2,
    OPEN_SC_MANAGER_A,
    OPEN_SC_MANAGER_W,
    OPEN_SERVICE_A,
    OPEN_SERVICE_W,
)

SVCCTL_OPERATIONS = table(
    served(CLOSE_SERVICE_HANDLE, close_handle),
    served(CONTROL_SERVICE, control),
    served(DELETE_SERVICE, delete),
    served(LOCK_SERVICE_DATABASE, lock),
    served(QUERY_SERVICE_OBJECT_SECURITY, query_security),
    served(SET_SERVICE_OBJECT_SECURITY, set_security),
    served(QUERY_SERVICE_STATUS, query_status),
    served(SET_SERVICE_STATUS, set_status),
    served(UNLOCK_SERVICE_DATABASE, unlock),
    served(NOTIFY_BOOT_CONFIG_STATUS, notify_boot),
    served(CHANGE_SERVICE_CONFIG_W, change),
    served(CREATE_SERVICE_W, create),
    served(ENUM_DEPENDENT_SERVICES_W, enum_dependents),
    served(ENUM_SERVICES_STATUS_W, enum_services),
    served(OPEN_SC_MANAGER_W, open_scm),
    served(OPEN_SERVICE_W, open_service),
    served(QUERY_SERVICE_CONFIG_W, query_config),
    served(QUERY_SERVICE_LOCK_STATUS_W, query_lock),
    served(START_SERVICE_W, start),
    served(GET_SERVICE_DISPLAY_NAME_W, get_display_name),
    served(GET_SERVICE_KEY_NAME_W, get_key_name),
    served(CHANGE_SERVICE_CONFIG_A, change),
    served(CREATE_SERVICE_A, create),
    served(ENUM_DEPENDENT_SERVICES_A, enum_dependents),
    served(ENUM_SERVICES_STATUS_A, enum_services),
    served(OPEN_SC_MANAGER_A, open_scm),
    served(OPEN_SERVICE_A, open_service),
    served(QUERY_SERVICE_CONFIG_A, query_config),
    served(QUERY_SERVICE_LOCK_STATUS_A, query_lock),
    served(START_SERVICE_A, start),
    served(GET_SERVICE_DISPLAY_NAME_A, get_display_name),
    served(GET_SERVICE_KEY_NAME_A, get_key_name),
    served(ENUM_SERVICE_GROUP_W, enum_group),
    served(CHANGE_SERVICE_CONFIG_2_A, change2),
    served(CHANGE_SERVICE_CONFIG_2_W, change2),
    served(QUERY_SERVICE_CONFIG_2_A, query_config2),
    served(QUERY_SERVICE_CONFIG_2_W, query_config2),
    served(QUERY_SERVICE_STATUS_EX, query_status_ex),
    served(ENUM_SERVICES_STATUS_EX_A, enum_services_ex),
    served(ENUM_SERVICES_STATUS_EX_W, enum_services_ex),
    served(CREATE_SERVICE_WOW64_A, create),
    served(CREATE_SERVICE_WOW64_W, create),
    served(NOTIFY_SERVICE_STATUS_CHANGE, notify_status_change),
    served(GET_NOTIFY_RESULTS, get_notify_results, blocks=True),
    served(CLOSE_NOTIFY_HANDLE, close_notify_handle),
    served(CONTROL_SERVICE_EX_A, control_ex),
    served(CONTROL_SERVICE_EX_W, control_ex),
    served(QUERY_SERVICE_CONFIG_EX, query_config_ex),
    served(CREATE_WOW_SERVICE, create_wow),
    served(OPEN_SC_MANAGER_2, open_scm),
)
