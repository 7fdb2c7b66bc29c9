/* A client that costs next to nothing, so that what is timed is not the client: for each line that it reads it does one thing,
 * and prints how many microseconds that took, or `-` and what went wrong.
 *
 *   set NAME TARGET VOLUME            SetVolume of a service, until its reply
 *   get NAME PATH                     the property Volume of an object
 *   line PATH TEXT                    a line over a Unix socket, until the line that answers it; the connection is kept
 *   server INDEX VOLUME               the sound server's own volume of a stream, until it is acknowledged
 *   change INDEX VOLUME NAME PATH...  the same, until the services, by their unique names, have announced it;
 *                                     a figure for each, at most 20 s
 *   flood RATE SECONDS INDEX...       so many volumes a second, over these streams in turn, without waiting; how many
 *   slide NAME RATE SECONDS TARGET... so many SetVolume a second, likewise; when all are answered
 *   visit COUNT NAME PATH             so many times: connect, read the property Volume, leave
 *   emit COUNT                        signals, as fast as can be; prints the moment of the first
 *   receive COUNT                     prints `listening`, then the moment when so many signals have come
 *
 *   cc -O2 -o caller caller.c $(pkg-config --cflags --libs libpulse libsystemd)
 */
#include <pulse/pulseaudio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/org/pwmixer/Mixer"
#define NODE "org.pwmixer.Mixer.Node"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define SIGNAL "org.pwmixer.Bench"
#define LONGEST 20e6
#define MOST 4096

static sd_bus *bus;
static pa_mainloop *mainloop;
static pa_context *context;
static int pending; /* volumes that are not acknowledged, or calls that are not answered yet */
static struct {
    const char *sender, *path;
    double at;
} awaited[8];
static int watched, received, failed;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* --- sockets */

static struct wire {
    char path[108];
    int fd;
} wires[16];

/* Return the connection to a socket, which is made when it is first asked for; -1 where there is none. */
static int wire_to(const char *path) {
    struct wire *wire = wires;
    while (wire->path[0] && strcmp(wire->path, path))
        if (++wire == wires + sizeof wires / sizeof *wires)
            return -1;
    if (!wire->path[0]) {
        struct sockaddr_un place = {.sun_family = AF_UNIX};
        strcpy(place.sun_path, path);
        wire->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(wire->fd, (struct sockaddr *)&place, sizeof place))
            return -1;
        strcpy(wire->path, path);
    }
    return wire->fd;
}

static void ask_line(const char *path, const char *text) {
    char answer[4096];
    ssize_t part, size = 0, length = strlen(text);
    int fd = wire_to(path);
    double started = now();
    if (fd < 0 || send(fd, text, length, MSG_NOSIGNAL) != length) {
        printf("- no such socket\n");
        return;
    }
    do
        size += part = read(fd, answer + size, sizeof answer - size);
    while (part > 0 && answer[size - 1] != '\n' && size < (ssize_t)sizeof answer);
    printf(part > 0 ? "%.1f\n" : "- no answer\n", now() - started);
}

/* --- the sound server */

static bool connected(void) {
    int result;
    if (!context) {
        mainloop = pa_mainloop_new();
        context = pa_context_new(pa_mainloop_get_api(mainloop), "caller");
        pa_context_connect(context, NULL, PA_CONTEXT_NOFLAGS, NULL);
    }
    while (PA_CONTEXT_IS_GOOD(pa_context_get_state(context)) && pa_context_get_state(context) != PA_CONTEXT_READY)
        pa_mainloop_iterate(mainloop, 1, &result);
    return pa_context_get_state(context) == PA_CONTEXT_READY;
}

static void acknowledged(pa_context *c, int success, void *data) {
    pending--;
}

static void ask(uint32_t index, double volume) {
    pa_cvolume wanted;
    pa_cvolume_set(&wanted, 2, volume * PA_VOLUME_NORM);
    pending++;
    pa_operation_unref(pa_context_set_sink_input_volume(context, index, &wanted, acknowledged, NULL));
}

/* Let libpulse do what it can, and wait for it no longer than some milliseconds. */
static void turn(int longest) {
    pa_mainloop_prepare(mainloop, longest * 1000);
    pa_mainloop_poll(mainloop);
    pa_mainloop_dispatch(mainloop);
}

static void ask_server(uint32_t index, double volume) {
    double started = now();
    ask(index, volume);
    while (pending && now() - started < LONGEST)
        turn(1000);
    printf(pending ? "- no answer\n" : "%.1f\n", now() - started);
}

static void flood(double rate, double seconds, char *words) {
    uint32_t indexes[MOST];
    long sent = 0;
    int count = 0;
    for (char *word = strtok(words, " \n"); word && count < MOST; word = strtok(NULL, " \n"))
        indexes[count++] = strtoul(word, NULL, 10);
    double started = now();
    for (double passed = 0; passed < seconds * 1e6; passed = now() - started) {
        for (; count && sent < passed * rate / 1e6; sent++)
            ask(indexes[sent % count], (20 + (sent / count * 7 + sent) % 70) / 100.0);
        turn(1);
    }
    for (double ended = now(); pending && now() - ended < LONGEST;)
        turn(100);
    printf("%ld\n", sent - pending);
}

/* --- the bus */

static int announced(sd_bus_message *signal, void *data, sd_bus_error *error) {
    for (int i = 0; i < watched; i++)
        if (!awaited[i].at && !strcmp(sd_bus_message_get_sender(signal), awaited[i].sender) &&
            !strcmp(sd_bus_message_get_path(signal), awaited[i].path))
            awaited[i].at = now();
    return 0;
}

static int counted(sd_bus_message *signal, void *data, sd_bus_error *error) {
    received++;
    return 0;
}

static bool all_announced(void) {
    for (int i = 0; i < watched; i++)
        if (!awaited[i].at)
            return false;
    return true;
}

static void on_bus(pa_mainloop_api *api, pa_io_event *event, int fd, pa_io_event_flags_t flags, void *data) {
}

static void change(uint32_t index, double volume, char *words) {
    sd_bus_slot *slot;
    watched = 0;
    for (char *word = strtok(words, " \n"); word && watched < 8; word = strtok(NULL, " \n")) {
        awaited[watched].sender = word;
        awaited[watched].path = strtok(NULL, " \n");
        awaited[watched++].at = 0;
    }
    sd_bus_match_signal(bus, &slot, NULL, NULL, PROPERTIES, "PropertiesChanged", announced, NULL);
    pa_mainloop_api *api = pa_mainloop_get_api(mainloop);
    pa_io_event *reading = api->io_new(api, sd_bus_get_fd(bus), PA_IO_EVENT_INPUT, on_bus, NULL);
    double started = now();
    ask(index, volume);
    while ((pending || !all_announced()) && now() - started < LONGEST) {
        turn(100);
        while (sd_bus_process(bus, NULL) > 0) {
        }
    }
    api->io_free(reading);
    sd_bus_slot_unref(slot);
    if (!all_announced()) {
        printf("- not announced\n");
        return;
    }
    for (int i = 0; i < watched; i++)
        printf("%.1f%c", awaited[i].at - started, i + 1 < watched ? ' ' : '\n');
}

static int answered(sd_bus_message *reply, void *data, sd_bus_error *error) {
    pending--;
    failed += sd_bus_message_is_method_error(reply, NULL);
    return 0;
}

static void slide(const char *name, double rate, double seconds, char *words) {
    char *targets[MOST];
    long sent = 0;
    int count = 0;
    failed = 0;
    for (char *word = strtok(words, " \n"); word && count < MOST; word = strtok(NULL, " \n"))
        targets[count++] = word;
    double started = now();
    for (double passed = 0; passed < seconds * 1e6 || (pending && passed < seconds * 1e6 + LONGEST); passed = now() - started) {
        for (; count && passed < seconds * 1e6 && sent < passed * rate / 1e6; sent++) {
            sd_bus_message *call;
            sd_bus_message_new_method_call(bus, &call, name, ROOT, "org.pwmixer.Mixer", "SetVolume");
            sd_bus_message_append(call, "sda{sv}", targets[sent % count], (20 + (sent / count * 7 + sent) % 70) / 100.0, 0);
            pending += sd_bus_call_async(bus, NULL, call, answered, NULL, 0) >= 0;
            sd_bus_message_unref(call);
        }
        while (sd_bus_process(bus, NULL) > 0) {
        }
        double next = started + (sent + 1) * 1e6 / rate - now();
        if (passed < seconds * 1e6 ? next > 0 : pending > 0)
            sd_bus_wait(bus, passed < seconds * 1e6 ? next : 100000);
    }
    printf(failed || pending ? "- %ld of %ld failed\n" : "%ld\n", failed + pending ? (long)failed + pending : sent, sent);
    pending = 0;
}

static int visit(const char *name, const char *path, long count, sd_bus_error *error) {
    int result = 0;
    double volume, started = now();
    for (long i = 0; i < count && result >= 0; i++) {
        sd_bus *visitor;
        result = sd_bus_open_user(&visitor);
        if (result < 0)
            break;
        result = sd_bus_get_property_trivial(visitor, name, path, NODE, "Volume", error, 'd', &volume);
        sd_bus_flush_close_unref(visitor);
    }
    if (result >= 0)
        printf("%.1f\n", now() - started);
    return result;
}

static void emit(long count) {
    char path[64];
    printf("%.1f\n", now());
    for (long i = 0; i < count; i++) {
        sd_bus_message *signal;
        snprintf(path, sizeof path, ROOT "/streams/%ld", i % 50);
        sd_bus_message_new_signal(bus, &signal, path, SIGNAL, "PropertiesChanged");
        sd_bus_message_append(signal, "sa{sv}as", NODE, 1, "Volume", "d", i % 100 / 100.0, 0);
        sd_bus_send(bus, signal, NULL);
        sd_bus_message_unref(signal);
    }
    sd_bus_flush(bus);
}

static void receive(long count) {
    sd_bus_slot *slot;
    received = 0;
    sd_bus_match_signal(bus, &slot, NULL, NULL, SIGNAL, NULL, counted, NULL);
    printf("listening\n");
    double started = now();
    while (received < count && now() - started < 4 * LONGEST)
        if (sd_bus_process(bus, NULL) == 0)
            sd_bus_wait(bus, 1000000);
    sd_bus_slot_unref(slot);
    printf(received < count ? "- %.0f after %d\n" : "%.1f\n", now(), received);
}

int main(void) {
    static char line[65536];
    char name[128], object[256];
    double volume, seconds;
    long number;
    int words = 0, result = sd_bus_open_user(&bus);
    const char *unique;
    /* The bus gives up a connection that says nothing for long. */
    if (result < 0 || (result = sd_bus_get_unique_name(bus, &unique)) < 0) {
        fprintf(stderr, "caller: no session bus: %s\n", strerror(-result));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        double started = now();
        bool timed = true;
        result = 0;
        if (sscanf(line, "set %127s %255s %lf", name, object, &volume) == 3) {
            result = sd_bus_call_method(bus, name, ROOT, "org.pwmixer.Mixer", "SetVolume", &error, NULL, "sda{sv}", object, volume, 0);
        } else if (sscanf(line, "get %127s %255s", name, object) == 2) {
            result = sd_bus_get_property_trivial(bus, name, object, NODE, "Volume", &error, 'd', &volume);
        } else {
            timed = false;
            if (sscanf(line, "visit %ld %127s %255s", &number, name, object) == 3)
                result = visit(name, object, number, &error);
            else if (sscanf(line, "slide %127s %lf %lf %n", name, &volume, &seconds, &words) == 3)
                slide(name, volume, seconds, line + words);
            else if (sscanf(line, "line %107s %n", object, &words) == 1)
                ask_line(object, line + words);
            else if (sscanf(line, "emit %ld", &number) == 1)
                emit(number);
            else if (sscanf(line, "receive %ld", &number) == 1)
                receive(number);
            else if (!connected())
                printf("- no sound server\n");
            else if (sscanf(line, "server %ld %lf", &number, &volume) == 2)
                ask_server(number, volume);
            else if (sscanf(line, "change %ld %lf %n", &number, &volume, &words) == 2)
                change(number, volume, line + words);
            else if (sscanf(line, "flood %lf %lf %n", &volume, &seconds, &words) == 2)
                flood(volume, seconds, line + words);
            else {
                fprintf(stderr, "caller: what is %s", line);
                return 2;
            }
        }
        if (result < 0)
            printf("- %s\n", error.message ? error.message : strerror(-result));
        else if (timed)
            printf("%.1f\n", now() - started);
        sd_bus_error_free(&error);
    }
    return 0;
}
