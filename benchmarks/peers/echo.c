/* The limit for a line over a Unix socket: gives back what comes in, and does nothing else.
 *   echo PATH     one client at a time
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof place.sun_path) return 2;
    strcpy(place.sun_path, argv[1]);
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&place, sizeof place) || listen(listening, 8)) return 1;
    for (;;) {
        char line[4096];
        ssize_t size;
        int client = accept(listening, NULL, NULL);
        if (client < 0) return 1;
        while ((size = read(client, line, sizeof line)) > 0 && write(client, line, size) == size) {
        }
        close(client);
    }
}
