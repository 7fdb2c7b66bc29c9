/* Streams in number, as the service meets them: COUNT of them, each of an application of its own. The first PLAYING play
 * silence, or noise that is never as loud as just before, the others are paused. Prints `ready` when the server has all of them, and goes when its standard input ends.
 *
 *   crowd COUNT PLAYING [noise]
 *
 *   cc -O2 -o crowd crowd.c $(pkg-config --cflags --libs libpulse)
 */
#include <pulse/pulseaudio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_ONCE 60 /* streams that come into being together: with fewer the session manager takes longer, with many more it gives up */

static const pa_sample_spec FORMAT = {PA_SAMPLE_S16LE, 48000, 2};

static int16_t sound[8192];

static void make_noise(void) {
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
        sound[i] = rand() % (int)(1 + 64 * (i / 128 * 37 % 64));
}

static void play(pa_stream *stream, size_t room, void *data) {
    for (size_t part; room; room -= part) {
        part = room < sizeof sound ? room : sizeof sound;
        pa_stream_write(stream, sound, part, NULL, 0, PA_SEEK_RELATIVE);
    }
}

static pa_stream *open_stream(pa_context *context, int number, int playing) {
    char name[64], title[64], id[64];
    snprintf(name, sizeof name, "Program %d", number);
    snprintf(title, sizeof title, "Title %d", number);
    snprintf(id, sizeof id, "org.example.Program%d", number);
    pa_proplist *properties = pa_proplist_new();
    pa_proplist_sets(properties, PA_PROP_APPLICATION_NAME, name);
    pa_proplist_sets(properties, PA_PROP_APPLICATION_ID, id);
    pa_stream *stream = pa_stream_new_with_proplist(context, title, &FORMAT, NULL, properties);
    pa_proplist_free(properties);
    if (playing)
        pa_stream_set_write_callback(stream, play, NULL);
    pa_stream_connect_playback(stream, NULL, NULL, playing ? 0 : PA_STREAM_START_CORKED, NULL, NULL);
    return stream;
}

static void end(pa_mainloop_api *api, pa_io_event *event, int fd, pa_io_event_flags_t flags, void *data) {
    char byte;
    if (read(fd, &byte, 1) <= 0)
        api->quit(api, 0);
}

int main(int argc, char **argv) {
    int result = 0;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: crowd COUNT PLAYING [noise]\n");
        return 2;
    }
    if (argc == 4)
        make_noise();
    int count = atoi(argv[1]), playing = atoi(argv[2]);
    pa_stream **streams = calloc(count + 1, sizeof *streams);
    pa_mainloop *mainloop = pa_mainloop_new();
    pa_mainloop_api *api = pa_mainloop_get_api(mainloop);
    pa_context *context = pa_context_new(api, "crowd");
    pa_context_connect(context, NULL, PA_CONTEXT_NOFLAGS, NULL);
    for (int opened = 0, ready = 0; ready < count;) {
        if (pa_mainloop_iterate(mainloop, 1, &result) < 0 || !PA_CONTEXT_IS_GOOD(pa_context_get_state(context))) {
            fprintf(stderr, "crowd: no sound server\n");
            return 1;
        }
        if (pa_context_get_state(context) != PA_CONTEXT_READY)
            continue;
        while (opened < count && opened < ready + AT_ONCE) {
            streams[opened] = open_stream(context, opened, opened < playing);
            opened++;
        }
        while (ready < opened && pa_stream_get_state(streams[ready]) == PA_STREAM_READY)
            ready++;
        if (ready < opened && pa_stream_get_state(streams[ready]) == PA_STREAM_FAILED) {
            fprintf(stderr, "crowd: stream %d: %s\n", ready, pa_strerror(pa_context_errno(context)));
            return 1;
        }
    }
    printf("ready\n");
    fflush(stdout);
    api->io_new(api, STDIN_FILENO, PA_IO_EVENT_INPUT | PA_IO_EVENT_HANGUP, end, NULL);
    pa_mainloop_run(mainloop, &result);
    return result;
}
