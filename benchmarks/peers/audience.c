/* Clients in number that listen and do nothing: COUNT of them hear all signals of the service, and WATCHING watch its socket.
 * Prints `ready` when all of them listen, and goes when its standard input ends.
 *
 *   audience COUNT SOCKET WATCHING
 *
 *   cc -O2 -o audience audience.c $(pkg-config --cflags --libs libsystemd)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

static int watch(const struct sockaddr_un *place) {
    char answer[65536];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)place, sizeof *place) || send(fd, "WATCH\n", 6, MSG_NOSIGNAL) != 6)
        return -1;
    return read(fd, answer, sizeof answer) >= 3 && !strncmp(answer, "OK\n", 3) ? fd : -1;
}

static int nothing(sd_bus_message *signal, void *data, sd_bus_error *error) {
    return 0;
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char text[65536];
    if (argc != 4 || strlen(argv[2]) >= sizeof place.sun_path)
        return 2;
    int count = atoi(argv[1]), watching = atoi(argv[3]), all = count + watching;
    strcpy(place.sun_path, argv[2]);
    sd_bus **buses = calloc(count, sizeof *buses);
    struct pollfd *watched = calloc(all + 1, sizeof *watched);
    for (int i = 0; i < count; i++) {
        if (sd_bus_open_user(&buses[i]) < 0 ||
            sd_bus_match_signal(buses[i], NULL, "org.pwmixer.Mixer", NULL, NULL, NULL, nothing, NULL) < 0)
            return fail("the bus");
        watched[i] = (struct pollfd){sd_bus_get_fd(buses[i]), POLLIN, 0};
    }
    for (int i = count; i < all; i++) {
        int fd = watch(&place);
        if (fd < 0)
            return fail("the socket");
        watched[i] = (struct pollfd){fd, POLLIN, 0};
    }
    watched[all] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    printf("ready\n");
    fflush(stdout);
    while (poll(watched, all + 1, -1) > 0) {
        if (watched[all].revents && read(STDIN_FILENO, text, sizeof text) <= 0)
            return 0;
        for (int i = 0; i < count; i++) {
            while (watched[i].revents && sd_bus_process(buses[i], NULL) > 0) {
            }
        }
        for (int i = count; i < all; i++)
            if (watched[i].revents && read(watched[i].fd, text, sizeof text) <= 0)
                watched[i].fd = -1;
    }
    return 1;
}
