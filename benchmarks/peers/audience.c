/* Clients in number that listen and do nothing: COUNT of them hear all signals of the service, and COUNT watch its socket.
 * Prints `ready` when all of them listen, and goes when its standard input ends.
 *
 *   audience COUNT SOCKET
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
    if (argc != 3 || strlen(argv[2]) >= sizeof place.sun_path)
        return 2;
    int count = atoi(argv[1]);
    strcpy(place.sun_path, argv[2]);
    sd_bus **buses = calloc(count, sizeof *buses);
    struct pollfd *watched = calloc(2 * count + 1, sizeof *watched);
    for (int i = 0; i < count; i++) {
        if (sd_bus_open_user(&buses[i]) < 0 ||
            sd_bus_match_signal(buses[i], NULL, "org.pwmixer.Mixer", NULL, NULL, NULL, nothing, NULL) < 0)
            return fail("the bus");
        watched[i] = (struct pollfd){sd_bus_get_fd(buses[i]), POLLIN, 0};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&place, sizeof place) || write(fd, "WATCH\n", 6) != 6 || read(fd, text, sizeof text) <= 0)
            return fail("the socket");
        watched[count + i] = (struct pollfd){fd, POLLIN, 0};
    }
    watched[2 * count] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    printf("ready\n");
    fflush(stdout);
    while (poll(watched, 2 * count + 1, -1) > 0) {
        if (watched[2 * count].revents && read(STDIN_FILENO, text, sizeof text) <= 0)
            return 0;
        for (int i = 0; i < count; i++) {
            while (watched[i].revents && sd_bus_process(buses[i], NULL) > 0) {
            }
            if (watched[count + i].revents && read(watched[count + i].fd, text, sizeof text) <= 0)
                watched[count + i].fd = -1;
        }
    }
    return 1;
}
