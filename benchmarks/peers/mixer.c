/* The limit: what the service does with a volume, in C on libpulse and sd-bus, and nothing else.
 *
 *   mixer NAME [APP SINK]
 *
 * It owns NAME on the session bus, follows the streams and sinks of the sound server by its notices, fetches what a
 * notice names (one request in flight for each object), and announces a volume that differs. A call is answered when the
 * server shows the value, after its signal, as the service does it. Streams of applications whose name begins with APP are moved to SINK as soon
 * as they are there. `Connected` becomes true when all is listed. The line `GET_VOLUME @sink`, or sink:INDEX or stream:INDEX, is
 * answered at the socket NAME in XDG_RUNTIME_DIR as the service answers it, by as many clients as there are, until they leave. Paths, interfaces and signatures are those of the service, but for the
 * numbers of streams, which are the server's indexes here. plain.py is the same in Python.
 *
 * `Delays` tells how many milliseconds passed from a notice until the signal was sent and until a stream was moved, since
 * it was last asked.
 *
 *   cc -O2 -o mixer mixer.c $(pkg-config --cflags --libs libpulse libsystemd)
 */
#include <errno.h>
#include <pulse/pulseaudio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define ROOT "/org/pwmixer/Mixer"
#define NODE "org.pwmixer.Mixer.Node"
#define MOST 4096
#define WAITING 256 /* calls for one object, at first */
#define SHOWN_SOON (100 * PA_USEC_PER_MSEC)
#define KEPT 8192

enum kind { SINK, STREAM };

struct object {
    enum kind kind;
    uint32_t index;
    char path[64];
    char *name; /* of a sink */
    pa_cvolume volume;
    bool muted, in_flight, again, seen;
    pa_usec_t noticed; /* 0: what has been said of it is told */
    pa_time_event *timer;
    int places;
    struct waiting {
        sd_bus_message *call;
        double volume;
        unsigned number;
        bool acknowledged;
    } *waiting;
};

static struct object *objects[MOST];
static int count;
static bool listed;
static char *default_sink;
static unsigned calls;
static sd_bus *bus;
static pa_context *context;
static pa_mainloop_api *api;
static pa_defer_event *turn;
static const char *routed_app, *routed_sink;
static struct delays {
    double values[KEPT];
    int count;
} to_signal, to_move;
static pa_usec_t unsent[KEPT];
static int unsent_count;

static void look(struct object *object);

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "mixer: %s: %s\n", what, strerror(-result));
        exit(1);
    }
}

static void passed(struct delays *delays, pa_usec_t since) {
    if (delays->count < KEPT && since)
        delays->values[delays->count++] = (pa_rtclock_now() - since) / 1000.0;
}

static void flush(void) {
    sd_bus_flush(bus);
    while (unsent_count)
        passed(&to_signal, unsent[--unsent_count]);
}

static double level(const pa_cvolume *volume) {
    return (double)pa_cvolume_max(volume) / PA_VOLUME_NORM;
}

static struct object *find(enum kind kind, uint32_t index) {
    for (int i = 0; i < count; i++)
        if (objects[i]->kind == kind && objects[i]->index == index)
            return objects[i];
    return NULL;
}

static struct object *find_path(const char *path) {
    for (int i = 0; i < count; i++)
        if (!strcmp(objects[i]->path, path))
            return objects[i];
    return NULL;
}

/* What a target means: @sink, sink:INDEX or stream:INDEX. */
static struct object *named(const char *target) {
    const char *index = strchr(target, ':');
    if (index)
        return find(strncmp(target, "sink:", 5) ? STREAM : SINK, strtoul(index + 1, NULL, 10));
    for (int i = 0; i < count && !strcmp(target, "@sink"); i++)
        if (objects[i]->name && default_sink && !strcmp(objects[i]->name, default_sink))
            return objects[i];
    return NULL;
}

/* As many calls may wait as come: a busy machine is late with hundreds. */
static void make_room(struct object *object, int places) {
    struct waiting *waiting = calloc(places, sizeof *waiting);
    if (object->places)
        memcpy(waiting, object->waiting, object->places * sizeof *waiting);
    free(object->waiting);
    object->waiting = waiting;
    object->places = places;
}

static struct object *add(enum kind kind, uint32_t index) {
    if (count == MOST) {
        fprintf(stderr, "mixer: more than %d objects\n", MOST);
        exit(1);
    }
    struct object *object = calloc(1, sizeof *object);
    object->kind = kind;
    object->index = index;
    make_room(object, WAITING);
    snprintf(object->path, sizeof object->path, ROOT "/%s/%u", kind == SINK ? "sinks" : "streams", index);
    return objects[count++] = object;
}

static void drop(struct object *object) {
    if (object->timer)
        api->time_free(object->timer);
    for (int i = 0; i < object->places; i++)
        if (object->waiting[i].call) {
            sd_bus_reply_method_errorf(object->waiting[i].call, "org.pwmixer.Error.NotFound", "That object has just gone.");
            sd_bus_message_unref(object->waiting[i].call);
        }
    for (int i = 0; i < count; i++)
        if (objects[i] == object)
            objects[i] = objects[--count];
    free(object->name);
    free(object->waiting);
    free(object);
}

static void reply_up_to(struct object *object, unsigned latest) {
    for (int i = 0; i < object->places; i++)
        if (object->waiting[i].call && object->waiting[i].number <= latest && object->waiting[i].acknowledged) {
            sd_bus_reply_method_return(object->waiting[i].call, "d", level(&object->volume));
            object->waiting[i].call = sd_bus_message_unref(object->waiting[i].call);
        }
}

/* Answer the calls whose volume the server shows by now, and those before, which have been overtaken. */
static void answer(struct object *object) {
    double shown = level(&object->volume);
    unsigned latest = 0;
    for (int i = 0; i < object->places; i++) {
        double wanted = object->waiting[i].volume;
        if (object->waiting[i].call && object->waiting[i].acknowledged && wanted - shown < 0.001 && shown - wanted < 0.001 &&
            object->waiting[i].number > latest)
            latest = object->waiting[i].number;
    }
    reply_up_to(object, latest);
}

/* What is acknowledged and not shown soon never may be. */
static void give_up(pa_mainloop_api *a, pa_time_event *timer, const struct timeval *now, void *data) {
    struct object *object = data;
    api->time_free(object->timer);
    object->timer = NULL;
    reply_up_to(object, calls);
    flush();
}

static void seen(enum kind kind, uint32_t index, const pa_cvolume *volume, int muted) {
    struct object *object = find(kind, index);
    if (!object)
        object = add(kind, index);
    bool is_new = !object->seen, differs = level(volume) != level(&object->volume), mutes = muted != object->muted;
    object->volume = *volume;
    object->muted = muted;
    object->seen = true;
    if (!is_new && differs)
        sd_bus_emit_properties_changed(bus, object->path, NODE, "Volume", NULL);
    if (!is_new && mutes)
        sd_bus_emit_properties_changed(bus, object->path, NODE, "Muted", NULL);
    if (!is_new && (differs || mutes) && unsent_count < KEPT)
        unsent[unsent_count++] = object->noticed;
    if (!is_new)
        object->noticed = 0;
    answer(object);
}

static void fetched(enum kind kind, uint32_t index) {
    struct object *object = find(kind, index);
    if (!object)
        return;
    object->in_flight = false;
    if (object->again) {
        object->again = false;
        look(object);
    }
}

struct request {
    enum kind kind;
    uint32_t index;
    unsigned number; /* of a call */
};

static void on_sink(pa_context *c, const pa_sink_info *info, int end, void *data) {
    struct request *request = data;
    if (!end) {
        seen(SINK, info->index, &info->volume, info->mute);
        struct object *object = find(SINK, info->index);
        if (!object->name)
            object->name = strdup(info->name);
    } else if (request) {
        fetched(request->kind, request->index);
        free(request);
    }
}

static void on_server(pa_context *c, const pa_server_info *info, void *data) {
    free(default_sink);
    default_sink = info && info->default_sink_name ? strdup(info->default_sink_name) : NULL;
}

static void on_moved(pa_context *c, int success, void *data) {
    printf("moved %d\n", success);
}

static void on_stream(pa_context *c, const pa_sink_input_info *info, int end, void *data) {
    struct request *request = data;
    if (!end) {
        bool is_new = !find(STREAM, info->index) || !find(STREAM, info->index)->seen;
        const char *app = pa_proplist_gets(info->proplist, PA_PROP_APPLICATION_NAME);
        seen(STREAM, info->index, &info->volume, info->mute);
        if (is_new && routed_app && app && !strncmp(app, routed_app, strlen(routed_app))) {
            passed(&to_move, find(STREAM, info->index)->noticed);
            pa_operation_unref(pa_context_move_sink_input_by_name(context, info->index, routed_sink, on_moved, NULL));
        }
        find(STREAM, info->index)->noticed = 0;
    } else if (request) {
        fetched(request->kind, request->index);
        free(request);
    } else {
        listed = true;
        sd_bus_emit_properties_changed(bus, ROOT, "org.pwmixer.Mixer", "Connected", NULL);
        flush();
    }
}

static void look(struct object *object) {
    if (object->in_flight) {
        object->again = true;
        return;
    }
    object->in_flight = true;
    struct request *request = malloc(sizeof *request);
    *request = (struct request){object->kind, object->index, 0};
    pa_operation *operation =
        object->kind == SINK ? pa_context_get_sink_info_by_index(context, object->index, on_sink, request)
                             : pa_context_get_sink_input_info(context, object->index, on_stream, request);
    if (operation)
        pa_operation_unref(operation);
}

static void on_notice(pa_context *c, pa_subscription_event_type_t event, uint32_t index, void *data) {
    int facility = event & PA_SUBSCRIPTION_EVENT_FACILITY_MASK;
    if (facility == PA_SUBSCRIPTION_EVENT_SERVER)
        pa_operation_unref(pa_context_get_server_info(c, on_server, NULL));
    if (facility != PA_SUBSCRIPTION_EVENT_SINK && facility != PA_SUBSCRIPTION_EVENT_SINK_INPUT)
        return;
    enum kind kind = facility == PA_SUBSCRIPTION_EVENT_SINK ? SINK : STREAM;
    struct object *object = find(kind, index);
    if ((event & PA_SUBSCRIPTION_EVENT_TYPE_MASK) == PA_SUBSCRIPTION_EVENT_REMOVE) {
        if (object)
            drop(object);
    } else {
        object = object ? object : add(kind, index);
        if (!object->noticed)
            object->noticed = pa_rtclock_now();
        look(object);
    }
}

static void on_set(pa_context *c, int success, void *data) {
    struct request *request = data;
    struct object *object = find(request->kind, request->index);
    for (int i = 0; object && i < object->places; i++)
        if (object->waiting[i].call && object->waiting[i].number == request->number)
            object->waiting[i].acknowledged = true;
    if (object) {
        bool waits = false;
        answer(object);
        for (int i = 0; i < object->places; i++)
            waits |= object->waiting[i].call && object->waiting[i].acknowledged;
        if (waits && !object->timer)
            object->timer = pa_context_rttime_new(context, pa_rtclock_now() + SHOWN_SOON, give_up, object);
    }
    free(request);
}

static int set_volume(sd_bus_message *call, void *data, sd_bus_error *error) {
    const char *target;
    double volume;
    int result = sd_bus_message_read(call, "sd", &target, &volume);
    if (result < 0)
        return result;
    struct object *object = named(target);
    if (!object)
        return sd_bus_error_setf(error, "org.pwmixer.Error.NotFound", "There is no %s.", target);
    int place = 0;
    while (place < object->places && object->waiting[place].call)
        place++;
    if (volume < 0 || volume > 1.5)
        return sd_bus_error_setf(error, "org.pwmixer.Error.InvalidArgument", "Not that.");
    if (place == object->places)
        make_room(object, 2 * object->places);
    object->waiting[place].call = sd_bus_message_ref(call);
    object->waiting[place].volume = volume;
    object->waiting[place].number = ++calls;
    object->waiting[place].acknowledged = false;
    pa_cvolume wanted;
    pa_cvolume_set(&wanted, object->volume.channels, volume * PA_VOLUME_NORM);
    struct request *request = malloc(sizeof *request);
    uint32_t index = object->index;
    *request = (struct request){object->kind, index, object->waiting[place].number};
    pa_operation_unref(object->kind == SINK
                           ? pa_context_set_sink_volume_by_index(context, index, &wanted, on_set, request)
                           : pa_context_set_sink_input_volume(context, index, &wanted, on_set, request));
    return 1;
}

static int delays(sd_bus_message *call, void *data, sd_bus_error *error) {
    sd_bus_message *reply;
    int result = sd_bus_message_new_method_return(call, &reply);
    if (result < 0)
        return result;
    sd_bus_message_append_array(reply, 'd', to_signal.values, to_signal.count * sizeof(double));
    sd_bus_message_append_array(reply, 'd', to_move.values, to_move.count * sizeof(double));
    to_signal.count = to_move.count = 0;
    result = sd_bus_send(bus, reply, NULL);
    sd_bus_message_unref(reply);
    return result < 0 ? result : 1;
}

static int get(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *data,
               sd_bus_error *error) {
    struct object *object = data;
    if (!strcmp(property, "Volume"))
        return sd_bus_message_append(reply, "d", level(&object->volume));
    if (!strcmp(property, "Muted"))
        return sd_bus_message_append(reply, "b", object->muted);
    return sd_bus_message_append(reply, "u", object->index);
}

static int connected(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                     void *data, sd_bus_error *error) {
    return sd_bus_message_append(reply, "b", listed);
}

static int object_at(sd_bus *b, const char *path, const char *interface, void *data, void **found, sd_bus_error *error) {
    return (*found = find_path(path)) != NULL;
}

static const sd_bus_vtable MIXER[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("SetVolume", "sda{sv}", "d", set_volume, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Connected", "b", connected, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_METHOD("Delays", "", "adad", delays, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static const sd_bus_vtable NODES[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Volume", "d", get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Muted", "b", get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Index", "u", get, 0, 0),
    SD_BUS_VTABLE_END,
};

/* --- the socket */

struct client {
    size_t size;
    char text[4096];
};

/* Write a volume as the service does: four digits, without those that say nothing. */
static void tell_volume(int fd, double volume) {
    char text[64];
    int size = snprintf(text, sizeof text, "OK %.4f", volume);
    while (text[size - 1] == '0' && text[size - 2] != '.')
        size--;
    text[size++] = '\n';
    send(fd, text, size, MSG_NOSIGNAL);
}

static void answer_line(int fd, const char *line) {
    char target[256];
    struct object *object = sscanf(line, "GET_VOLUME %255s", target) == 1 ? named(target) : NULL;
    if (object)
        tell_volume(fd, level(&object->volume));
    else
        send(fd, "ERROR Not that.\n", 16, MSG_NOSIGNAL);
}

static void on_client(pa_mainloop_api *a, pa_io_event *event, int fd, pa_io_event_flags_t flags, void *data) {
    struct client *client = data;
    ssize_t size = read(fd, client->text + client->size, sizeof client->text - 1 - client->size);
    if (size <= 0) {
        a->io_free(event);
        close(fd);
        free(client);
        return;
    }
    client->text[client->size += size] = 0;
    char *line = client->text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        answer_line(fd, line);
    }
    memmove(client->text, line, client->size -= line - client->text);
}

static void let_in(pa_mainloop_api *a, pa_io_event *event, int fd, pa_io_event_flags_t flags, void *data) {
    int connection = accept(fd, NULL, NULL);
    if (connection >= 0)
        a->io_new(a, connection, PA_IO_EVENT_INPUT, on_client, calloc(1, sizeof(struct client)));
}

static void listen_at(const char *name) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    snprintf(place.sun_path, sizeof place.sun_path, "%s/%s", getenv("XDG_RUNTIME_DIR"), name);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(place.sun_path);
    if (bind(listening, (struct sockaddr *)&place, sizeof place) || listen(listening, 8))
        check(-errno, place.sun_path);
    api->io_new(api, listening, PA_IO_EVENT_INPUT, let_in, NULL);
}

/* --- */

/* Once before each sleep: sd-bus has its own queue in both directions. */
static void process(pa_mainloop_api *a, pa_defer_event *event, void *data) {
    while (sd_bus_process(bus, NULL) > 0)
        ;
    flush();
    api->defer_enable(turn, 0);
}

static void on_bus(pa_mainloop_api *a, pa_io_event *event, int fd, pa_io_event_flags_t flags, void *data) {
    process(a, turn, data);
}

static void on_state(pa_context *c, void *data) {
    if (!PA_CONTEXT_IS_GOOD(pa_context_get_state(c))) {
        fprintf(stderr, "mixer: the sound server went away\n");
        exit(1);
    }
    if (pa_context_get_state(c) != PA_CONTEXT_READY)
        return;
    pa_context_set_subscribe_callback(c, on_notice, NULL);
    pa_operation_unref(
        pa_context_subscribe(c, PA_SUBSCRIPTION_MASK_SINK | PA_SUBSCRIPTION_MASK_SINK_INPUT | PA_SUBSCRIPTION_MASK_SERVER, NULL, NULL));
    pa_operation_unref(pa_context_get_server_info(c, on_server, NULL));
    pa_operation_unref(pa_context_get_sink_info_list(c, on_sink, NULL));
    pa_operation_unref(pa_context_get_sink_input_info_list(c, on_stream, NULL));
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: mixer NAME [APP SINK]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    routed_app = argc == 4 ? argv[2] : NULL;
    routed_sink = argc == 4 ? argv[3] : NULL;
    pa_mainloop *mainloop = pa_mainloop_new();
    api = pa_mainloop_get_api(mainloop);
    check(sd_bus_open_user(&bus), "no session bus");
    check(sd_bus_add_object_vtable(bus, NULL, ROOT, "org.pwmixer.Mixer", MIXER, NULL), ROOT);
    check(sd_bus_add_fallback_vtable(bus, NULL, ROOT "/streams", NODE, NODES, object_at, NULL), "streams");
    check(sd_bus_add_fallback_vtable(bus, NULL, ROOT "/sinks", NODE, NODES, object_at, NULL), "sinks");
    context = pa_context_new(api, "mixer");
    pa_context_set_state_callback(context, on_state, NULL);
    if (pa_context_connect(context, NULL, PA_CONTEXT_NOFLAGS, NULL) < 0)
        check(-1, "no sound server");
    check(sd_bus_request_name(bus, argv[1], 0), argv[1]);
    listen_at(argv[1]);
    api->io_new(api, sd_bus_get_fd(bus), PA_IO_EVENT_INPUT, on_bus, NULL);
    turn = api->defer_new(api, process, NULL);
    int result;
    while (pa_mainloop_iterate(mainloop, 1, &result) >= 0)
        flush();
    return result;
}
