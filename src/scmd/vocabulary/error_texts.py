"""The system messages of the Win32 errors; apart, because they load on error only."""

from __future__ import annotations

TEXTS: dict[int, str] = {
    0: "The operation completed successfully.",
    2: "The system cannot find the file specified.",
    3: "The system cannot find the path specified.",
    5: "Access is denied.",
    6: "The handle is invalid.",
    8: "Not enough memory resources are available to process this command.",
    13: "The data is invalid.",
    29: "The system cannot write to the specified device.",
    30: "The system cannot read from the specified device.",
    50: "The request is not supported.",
    87: "The parameter is incorrect.",
    112: "There is not enough space on the disk.",
    120: "This function is not supported on this system.",
    122: "The data area passed to a system call is too small.",
    123: "The filename, directory name, or volume label syntax is incorrect.",
    124: "The system call level is not correct.",
    193: "%1 is not a valid Win32 application.",
    232: "The pipe is being closed.",
    234: "More data is available.",
    258: "The wait operation timed out.",
    259: "No more data is available.",
    267: "The directory name is invalid.",
    1051: "A stop control has been sent to a service that other running services are dependent on.",
    1052: "The requested control is not valid for this service.",
    1053: "The service did not respond to the start or control request in a timely fashion.",
    1054: "A thread could not be created for the service.",
    1055: "The service database is locked.",
    1056: "An instance of the service is already running.",
    1057: (
        "The account name is invalid or does not exist, or the password is invalid for "
        "the account name specified."
    ),
    1058: (
        "The service cannot be started, either because it is disabled or because it has "
        "no enabled devices associated with it."
    ),
    1059: "Circular service dependency was specified.",
    1060: "The specified service does not exist as an installed service.",
    1061: "The service cannot accept control messages at this time.",
    1062: "The service has not been started.",
    1063: "The service process could not connect to the service controller.",
    1064: "An exception occurred in the service when handling the control request.",
    1065: "The database specified does not exist.",
    1066: "The service has returned a service-specific error code.",
    1067: "The process terminated unexpectedly.",
    1068: "The dependency service or group failed to start.",
    1069: "The service did not start due to a logon failure.",
    1070: "After starting, the service hung in a start-pending state.",
    1071: "The specified service database lock is invalid.",
    1072: "The specified service has been marked for deletion.",
    1073: "The specified service already exists.",
    1074: "The system is currently running with the last-known-good configuration.",
    1075: "The dependency service does not exist or has been marked for deletion.",
    1076: "The current boot has already been accepted for use as the last-known-good control set.",
    1077: "No attempts to start the service have been made since the last boot.",
    1078: "The name is already in use as either a service name or a service display name.",
    1079: (
        "The account specified for this service is different from the account specified "
        "for other services running in the same process."
    ),
    1080: "Failure actions can only be set for Win32 services, not for drivers.",
    1081: "This service runs in the same process as the service control manager.",
    1082: "No recovery program has been configured for this service.",
    1083: (
        "The executable program that this service is configured to run in does not "
        "implement the service."
    ),
    1084: "This service cannot be started in Safe Mode.",
    1115: "A system shutdown is in progress.",
    1223: "The operation was canceled by the user.",
    1235: "The request was aborted.",
    1242: "The service is already registered.",
    1294: (
        "The service notification client is lagging too far behind the current state of "
        "services in the machine."
    ),
    1297: (
        "A privilege that the service requires to function properly does not exist in the "
        "service account configuration."
    ),
    1338: "The security descriptor structure is invalid.",
    1460: "This operation returned because the timeout period expired.",
    1639: "Invalid command line argument.",
    1722: "The RPC server is unavailable.",
    1726: "The remote procedure call failed.",
    1745: "The procedure number is out of range.",
    1783: "The stub received bad data.",
}
