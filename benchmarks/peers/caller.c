/* A client that costs next to nothing: it carries out one call for each line that it reads, and prints how long that took.
 *
 *   set NAME TARGET VOLUME     SetVolume of a service, until its reply
 *   get NAME PATH              the property Volume of an object
 *
 * A line of its output is microseconds, or `-` and what went wrong.
 *
 *   cc -O2 -o caller caller.c $(pkg-config --cflags --libs libsystemd)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(void) {
    sd_bus *bus;
    char line[512], name[128], object[256];
    double volume;
    int result = sd_bus_open_user(&bus);
    if (result < 0) {
        fprintf(stderr, "caller: no session bus: %s\n", strerror(-result));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        double started = now();
        if (sscanf(line, "set %127s %255s %lf", name, object, &volume) == 3) {
            result = sd_bus_call_method(bus, name, "/org/pwmixer/Mixer", "org.pwmixer.Mixer", "SetVolume", &error, NULL,
                                        "sda{sv}", object, volume, 0);
        } else if (sscanf(line, "get %127s %255s", name, object) == 2) {
            result = sd_bus_get_property_trivial(bus, name, object, "org.pwmixer.Mixer.Node", "Volume", &error, 'd', &volume);
        } else {
            fprintf(stderr, "caller: what is %s", line);
            return 2;
        }
        if (result < 0)
            printf("- %s\n", error.message ? error.message : strerror(-result));
        else
            printf("%.1f\n", now() - started);
        sd_bus_error_free(&error);
    }
    return 0;
}
