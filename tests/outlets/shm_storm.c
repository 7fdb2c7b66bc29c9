/* Reads the shared memory in the storm of scripts/shm_storm.py, and prints how often, how many states, and how many torn.
 *
 *     shm_storm READS STATES FILE      at least so many reads, and so many different states                        */
#define _GNU_SOURCE
#include "pwmixer-shm.h"

#include <sched.h>

enum { CYCLE = 840, LOOKS = 9 };

static bool is_text(const struct pwmixer_reader *reader, struct pwmixer_text text, const char *expected)
{
    return text.length == strlen(expected) && !strcmp(pwmixer_text(reader, text), expected);
}

static bool has_level(double volume, double limit, bool muted, uint32_t turn)
{
    double expected = (double)turn / CYCLE;
    return volume <= expected && volume >= expected && limit <= 1.5 - expected && limit >= 1.5 - expected &&
           muted == (turn % 2 == 1);
}

static bool is_whole_app(const struct pwmixer_reader *reader, const struct pwmixer_app *app, uint32_t turn)
{
    char id[32], name[64];
    unsigned number = 0;
    if (sscanf(pwmixer_text(reader, app->app_id), "app %u", &number) != 1 || app->stream_count != turn % 5)
        return false;
    snprintf(id, sizeof id, "app %u", number);
    snprintf(name, sizeof name, "%u in %u", number, turn);
    for (uint32_t i = 0; i < app->stream_count; i++)
        if (app->streams[i] != turn + i)
            return false;
    return app->device == turn && is_text(reader, app->app_id, id) && is_text(reader, app->name, name) &&
           has_level(app->volume, app->max_volume, app->flags & PWMIXER_APP_MUTED, turn);
}

static bool is_whole(const struct pwmixer_reader *reader)
{
    const struct pwmixer_header *header = pwmixer_header(reader);
    uint32_t turn = (uint32_t)(header->generation % CYCLE);
    bool whole = header->app_count == 5 + turn % 7 && header->device_count == 1 + turn % 3 &&
                 header->default_sink == header->generation % 1000;
    for (uint32_t i = 0; whole && i < header->device_count; i++) {
        const struct pwmixer_device *device = pwmixer_device(reader, i);
        whole = device->index == turn &&
                has_level(device->volume, device->max_volume, device->flags & PWMIXER_DEVICE_MUTED, turn);
    }
    for (uint32_t i = 0; whole && i < header->app_count; i++)
        whole = is_whole_app(reader, pwmixer_app(reader, i), turn);
    return whole;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    unsigned long reads = 0, states = 0, torn = 0, busy = 0, wanted = strtoul(argv[1], NULL, 10);
    unsigned long wanted_states = strtoul(argv[2], NULL, 10);
    uint64_t last = UINT64_MAX;
    struct pwmixer_reader reader = {.path = argv[3]};
    while (reads < wanted || states < wanted_states) {
        int status = pwmixer_read(&reader);
        if (status == PWMIXER_BUSY) {
            busy++;
            sched_yield();
            continue;
        }
        if (status)
            return 3;
        reads++;
        if (pwmixer_header(&reader)->generation == last) {
            if (reads % 100 == 0)
                sched_yield();
            continue;
        }
        last = pwmixer_header(&reader)->generation;
        states++;
        torn += !is_whole(&reader);
        struct pwmixer_app app;
        for (int i = 0; i < LOOKS; i++) {
            status = pwmixer_look(&reader, 0, pwmixer_app(&reader, 0)->id, &app);
            reads += status == PWMIXER_OK;
            if (status == PWMIXER_OK && !has_level(app.volume, app.max_volume, app.flags & PWMIXER_APP_MUTED, app.device))
                torn++;
        }
    }
    printf("%lu %lu %lu %lu\n", reads, states, torn, busy);
    pwmixer_close(&reader);
    return 0;
}
