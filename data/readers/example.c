/* Prints the applications, and how loud they are, whenever that has changed; --once: once.
 *
 *     cc -O2 -o pwmixer-levels example.c && ./pwmixer-levels [--once] [FILE]                                     */
#define _GNU_SOURCE
#include "pwmixer-shm.h"

#include <inttypes.h>
#include <time.h>

static void print_state(const struct pwmixer_reader *reader)
{
    const struct pwmixer_header *header = pwmixer_header(reader);
    printf("generation %" PRIu64 "%s\n", header->generation,
           header->flags & PWMIXER_HEADER_CONNECTED ? "" : ", not connected");
    for (uint32_t i = 0; i < header->device_count; i++) {
        const struct pwmixer_device *device = pwmixer_device(reader, i);
        bool is_default = device->id == header->default_sink || device->id == header->default_source;
        printf("%s\t%s\t%.4f%s%s\n", device->flags & PWMIXER_DEVICE_SOURCE ? "source" : "sink",
               pwmixer_text(reader, device->name), device->volume, device->flags & PWMIXER_DEVICE_MUTED ? "\tmuted" : "",
               is_default ? "\tdefault" : "");
    }
    for (uint32_t i = 0; i < header->app_count; i++) {
        const struct pwmixer_app *app = pwmixer_app(reader, i);
        printf("app\t%s\t%s\t%.4f%s%s\n", pwmixer_text(reader, app->app_id), pwmixer_text(reader, app->name), app->volume,
               app->flags & PWMIXER_APP_MUTED ? "\tmuted" : "", app->flags & PWMIXER_APP_ACTIVE ? "\tactive" : "");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    bool once = argc > 1 && !strcmp(argv[1], "--once");
    struct pwmixer_reader reader = {.path = argc > 1 + once ? argv[1 + once] : NULL};
    const struct timespec frame = {.tv_nsec = 1000000000 / 60};
    uint64_t shown = UINT64_MAX;
    for (;;) {
        int status = pwmixer_read(&reader);
        if (status == PWMIXER_OK && pwmixer_header(&reader)->generation != shown) {
            shown = pwmixer_header(&reader)->generation;
            print_state(&reader);
        }
        if (once || status <= PWMIXER_FOREIGN) {
            pwmixer_close(&reader);
            return -status;
        }
        nanosleep(&frame, NULL);
    }
}
