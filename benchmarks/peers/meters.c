/* The limit of meters: the peaks of streams, in C on libpulse, as the service takes them, and nothing else.
 *
 *   meters RATE INDEX...
 *
 * It records each playback stream of the sound server that is named by its index, over as many connections as the service makes, and
 * writes a frame of 32-bit floats to its standard output RATE times a second, one for each stream, if it says something else than the
 * one before. It ends with whoever reads that.
 *
 *   cc -O2 -o meters meters.c $(pkg-config --cflags --libs libpulse)
 */
#include <pulse/pulseaudio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS 8
#define MOST 64
#define SAMPLES 60 /* peaks a second that the server makes */

static float levels[MOST];
static uint32_t indexes[MOST];
static int count;
static pa_usec_t period;

static void heard(pa_stream *stream, size_t size, void *level) {
    const void *data;
    float loudest = 0;
    while (pa_stream_peek(stream, &data, &size) == 0 && size) {
        const float *peaks = data;
        for (size_t i = 0; data && i < size / sizeof *peaks; i++)
            if (peaks[i] > loudest)
                loudest = peaks[i];
        pa_stream_drop(stream);
    }
    *(float *)level = loudest;
}

static void record(pa_context *context, int number) {
    static const pa_sample_spec FORMAT = {PA_SAMPLE_FLOAT32LE, SAMPLES, 2};
    static const pa_buffer_attr BLOCK = {.maxlength = UINT32_MAX, .fragsize = 2 * sizeof(float)};
    pa_proplist *properties = pa_proplist_new();
    pa_proplist_sets(properties, "node.dont-fallback", "true");
    pa_stream *stream = pa_stream_new_with_proplist(context, "meter", &FORMAT, NULL, properties);
    pa_proplist_free(properties);
    pa_stream_set_monitor_stream(stream, indexes[number]);
    pa_stream_set_read_callback(stream, heard, &levels[number]);
    pa_stream_connect_record(stream, NULL, &BLOCK, PA_STREAM_DONT_MOVE | PA_STREAM_PEAK_DETECT | PA_STREAM_ADJUST_LATENCY);
}

static void changed(pa_context *context, void *first) {
    if (pa_context_get_state(context) == PA_CONTEXT_READY)
        for (int number = (int)(intptr_t)first; number < count; number += CONNECTIONS)
            record(context, number);
}

static void tell(pa_mainloop_api *api, pa_time_event *event, const struct timeval *at, void *data) {
    static float told[MOST];
    struct timeval next = *at;
    if (memcmp(told, levels, sizeof told) && write(STDOUT_FILENO, levels, count * sizeof *levels) < 0)
        exit(0);
    memcpy(told, levels, sizeof told);
    api->time_restart(event, pa_timeval_add(&next, period));
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > MOST + 2) {
        fprintf(stderr, "usage: meters RATE INDEX...\n");
        return 2;
    }
    period = PA_USEC_PER_SEC / atoi(argv[1]);
    for (count = 0; count < argc - 2; count++)
        indexes[count] = strtoul(argv[count + 2], NULL, 10);
    pa_mainloop *mainloop = pa_mainloop_new();
    pa_mainloop_api *api = pa_mainloop_get_api(mainloop);
    for (intptr_t i = 0; i < CONNECTIONS && i < count; i++) {
        pa_context *context = pa_context_new(api, "meters");
        pa_context_set_state_callback(context, changed, (void *)i);
        pa_context_connect(context, NULL, PA_CONTEXT_NOFLAGS, NULL);
    }
    struct timeval now;
    api->time_new(api, pa_gettimeofday(&now), tell, NULL);
    int result;
    pa_mainloop_run(mainloop, &result);
    return result;
}
