/* Prints what the reader for C reads of each file, as a line of JSON; texts as hexadecimal digits. */
#define _GNU_SOURCE
#include "pwmixer-shm.h"

#include <inttypes.h>

static void text(const struct pwmixer_reader *reader, const char *name, struct pwmixer_text text)
{
    const char *value = pwmixer_text(reader, text);
    if (strlen(value) != text.length) {
        fprintf(stderr, "a text is not as long as it says\n");
        exit(1);
    }
    printf(",\"%s\":\"", name);
    for (; *value; value++)
        printf("%02x", (unsigned char)*value);
    printf("\"");
}

static void flag(const char *name, uint32_t is_set) { printf(",\"%s\":%s", name, is_set ? "true" : "false"); }

static void numbers(double volume, double limit, float peak)
{
    printf(",\"volume\":%.17g,\"max_volume\":%.17g,\"peak\":%.9g", volume, limit, peak);
}

int main(int argc, char **argv)
{
    for (int file = 1; file < argc; file++) {
        struct pwmixer_reader reader = {.path = argv[file]};
        int status = pwmixer_read(&reader);
        if (status) {
            printf("{\"status\":%d}\n", status);
            continue;
        }
        const struct pwmixer_header *h = pwmixer_header(&reader);
        printf("{\"generation\":%" PRIu64 ",\"updated_ns\":%" PRIu64, h->generation, h->updated_ns);
        printf(",\"default_sink\":%u,\"default_source\":%u", h->default_sink, h->default_source);
        flag("connected", h->flags & PWMIXER_HEADER_CONNECTED);
        flag("overflow_devices", h->flags & PWMIXER_HEADER_DEVICES_OVERFLOW);
        flag("overflow_apps", h->flags & PWMIXER_HEADER_APPS_OVERFLOW);
        flag("overflow_streams", h->flags & PWMIXER_HEADER_STREAMS_OVERFLOW);
        flag("overflow_texts", h->flags & PWMIXER_HEADER_TEXTS_OVERFLOW);
        printf(",\"devices\":[");
        for (uint32_t i = 0; i < h->device_count; i++) {
            const struct pwmixer_device *d = pwmixer_device(&reader, i);
            printf("%s{\"id\":%u,\"server_index\":%u", i ? "," : "", d->id, d->index);
            text(&reader, "name", d->name);
            text(&reader, "description", d->description);
            text(&reader, "icon_name", d->icon_name);
            numbers(d->volume, d->max_volume, d->peak);
            flag("source", d->flags & PWMIXER_DEVICE_SOURCE);
            flag("muted", d->flags & PWMIXER_DEVICE_MUTED);
            flag("monitor", d->flags & PWMIXER_DEVICE_MONITOR);
            flag("running", d->flags & PWMIXER_DEVICE_RUNNING);
            flag("locked", d->flags & PWMIXER_DEVICE_LOCKED);
            printf("}");
        }
        printf("],\"apps\":[");
        for (uint32_t i = 0; i < h->app_count; i++) {
            const struct pwmixer_app *a = pwmixer_app(&reader, i);
            struct pwmixer_app again;
            if (pwmixer_look(&reader, i, a->id, &again) || memcmp(a, &again, sizeof again) ||
                pwmixer_look(&reader, i, a->id + 1, &again) != PWMIXER_ABSENT) {
                fprintf(stderr, "looked at alone, an application is another\n");
                return 1;
            }
            printf("%s{\"id\":%u,\"device\":%u,\"stream_count\":%u", i ? "," : "", a->id, a->device, a->stream_count);
            text(&reader, "app_id", a->app_id);
            text(&reader, "name", a->name);
            text(&reader, "icon_name", a->icon_name);
            numbers(a->volume, a->max_volume, a->peak);
            flag("muted", a->flags & PWMIXER_APP_MUTED);
            flag("active", a->flags & PWMIXER_APP_ACTIVE);
            flag("hidden", a->flags & PWMIXER_APP_HIDDEN);
            flag("locked", a->flags & PWMIXER_APP_LOCKED);
            flag("writable", a->flags & PWMIXER_APP_WRITABLE);
            printf(",\"streams\":[");
            for (uint32_t s = 0; s < a->stream_count && s < PWMIXER_STREAMS; s++)
                printf("%s%u", s ? "," : "", a->streams[s]);
            printf("]}");
        }
        printf("]}\n");
        pwmixer_close(&reader);
    }
    return 0;
}
