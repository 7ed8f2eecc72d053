/* A service in C: docs/control-protocol.md, spoken by a program that knows nothing else.
 *
 * It pauses, continues, counts its own control 200, puts an entry in the event log and stops
 * with service-specific exit code = how often 200 came.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HELLO = 1, START_ANSWER, REGISTERED, CONTROL_ANSWER, STATUS, EVENT };
enum { WELCOME = 129, START, CONTROL, PARAMETERS_CHANGED, RESYNC };
enum { STOPPED = 1, STOP_PENDING = 3, RUNNING = 4, PAUSED = 7 };

struct hello { uint32_t head, version, count, length; char name[8]; };
struct start_answer { uint32_t head, service, error; };
struct registered { uint32_t head, service; };
struct control_answer { uint32_t head, error; uint64_t control; };
struct status {
    uint32_t head, service;
    uint64_t sequence;
    uint32_t type, state, accepts, exit_code, specific, check_point, wait_hint;
};
struct event { uint32_t head, service; uint16_t type, category; uint32_t id, count, length; char text[8]; };
struct control { uint32_t head, service; uint64_t control; uint32_t code; };

static int channel;
static struct status last = {.head = STATUS, .type = 0x10};

static void tell(const void *packet, size_t size)
{
    if (send(channel, packet, size, 0) != (ssize_t)size)
        exit(3);
}

static void report(uint32_t state, uint32_t specific)
{
    last.sequence += 1;
    last.state = state;
    last.accepts = state == STOPPED ? 0 : 3;
    last.exit_code = specific ? 1066 : 0;
    last.specific = specific;
    /* Up to the last field: the structure itself is padded to eight bytes. */
    tell(&last, 44);
}

int main(void)
{
    static char packet[32768];
    uint32_t counted = 0;
    const char *number = getenv("SCMD_CONTROL_FD");

    if (number == NULL)
        return 1;
    channel = atoi(number);
    unsetenv("SCMD_CONTROL_FD");
    fcntl(channel, F_SETFD, FD_CLOEXEC);

    struct hello hello = {HELLO, 1, 1, 8, "InC-test"};
    tell(&hello, sizeof hello);
    for (;;) {
        ssize_t size = recv(channel, packet, sizeof packet, 0);
        if (size <= 0)
            return 2;
        switch ((unsigned char)packet[0]) {
        case WELCOME:
            break;
        case START: {
            memcpy(&last.service, packet + 4, 4);
            struct start_answer answer = {START_ANSWER, last.service, 0};
            tell(&answer, sizeof answer);
            struct registered registered = {REGISTERED, last.service};
            tell(&registered, sizeof registered);
            report(RUNNING, 0);
            struct event event = {EVENT, last.service, 4, 0, 77, 1, 8, "from a C"};
            tell(&event, sizeof event);
            puts("started");
            fflush(stdout);
            break;
        }
        case CONTROL: {
            struct control control;
            memcpy(&control, packet, 20);
            struct control_answer answer = {CONTROL_ANSWER, 0, control.control};
            if (control.code > 4 && control.code != 200)
                answer.error = 120;
            tell(&answer, sizeof answer);
            if (control.code == 200)
                counted += 1;
            if (control.code == 2)
                report(PAUSED, 0);
            if (control.code == 3)
                report(RUNNING, 0);
            if (control.code == 1) {
                report(STOPPED, counted);
                return 0;
            }
            break;
        }
        case RESYNC: {
            struct registered registered = {REGISTERED, last.service};
            tell(&registered, sizeof registered);
            tell(&last, 44);
            break;
        }
        }
    }
}
