/* Reads the state of pwmixer in shared memory, as often as a display is drawn, without waking anybody.
 *
 * One file for C11 with GCC or Clang, on Linux; nothing to link. example.c beside it shows its use. A reader belongs to
 * one thread. Texts are UTF-8 and end with a NUL. What the fields mean: docs/shared-memory.md. MIT licence. */
#ifndef PWMIXER_SHM_H
#define PWMIXER_SHM_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a text is, from the start of the file, and its length without the NUL; in bytes. */
struct pwmixer_text {
    uint32_t offset;
    uint32_t length;
};

/* begin: written by scripts/gen_shm_layout.py */
#define PWMIXER_MAGIC "PWMIXER" /* and a NUL */
#define PWMIXER_VERSION 1
#define PWMIXER_STREAMS 16

struct pwmixer_header {
    char magic[8]; /* PWMIXER and a NUL. */
    uint32_t version; /* 1. A reader refuses any other. */
    uint32_t size; /* Bytes of the whole file, which never change. */
    uint32_t pid; /* The process that writes it. */
    uint32_t device_offset; /* Where the first device is; like every offset, from the start of the file. */
    uint32_t device_size; /* Bytes from one device to the next. */
    uint32_t device_capacity; /* How many devices there is room for. */
    uint32_t app_offset; /* Where the first application is. */
    uint32_t app_size; /* Bytes from one application to the next. */
    uint32_t app_capacity; /* How many applications there is room for. */
    uint32_t text_offset; /* Where the texts are. */
    uint32_t text_capacity; /* Bytes that there are for texts. */
    uint32_t closed; /* Not 0 once this file is not written any more: open it anew by its name. */
    uint32_t reserved0; /* 0. */
    uint32_t sequence; /* Odd while something is being written, and different after it. All from here on is covered by it. */
    uint64_t generation; /* The generation of the state that is shown; the same as in Describe, and grows with each change. */
    uint64_t updated_ns; /* When it was written: nanoseconds of CLOCK_MONOTONIC. */
    uint32_t flags; /* See below. */
    uint32_t device_count; /* How many devices are shown. Their order means nothing. */
    uint32_t app_count; /* How many applications are shown, also silent ones. Their order means nothing. */
    uint32_t text_used; /* Bytes of texts that are in use. */
    uint32_t default_sink; /* id of the default sink, 0 for none. */
    uint32_t default_source; /* id of the default source, 0 for none. */
    uint32_t reserved1[6]; /* 0. */
};

#define PWMIXER_HEADER_CONNECTED 1u /* There is a sound server; else all is as it was last seen. */
#define PWMIXER_HEADER_DEVICES_OVERFLOW 256u /* There are more devices than there is room for. */
#define PWMIXER_HEADER_APPS_OVERFLOW 512u /* There are more applications than there is room for. Those with streams come first. */
#define PWMIXER_HEADER_STREAMS_OVERFLOW 1024u /* An application has more streams than its record has room for. */
#define PWMIXER_HEADER_TEXTS_OVERFLOW 2048u /* There is no room for a text, which is shown as empty. */

struct pwmixer_device {
    uint32_t id; /* From 1 on; never given twice in one file. 0 where there is no device. */
    uint32_t index; /* The sound server's index. */
    uint32_t flags; /* See below. */
    float peak; /* Reserved for a level, 0.0 to 1.0; 0.0 so far. */
    double volume; /* Of the loudest channel; 1.0 is 100 %, cubic. */
    double max_volume; /* The highest volume that it may be set to. */
    struct pwmixer_text name; /* The server's name. */
    struct pwmixer_text description; /* What people call it. */
    struct pwmixer_text icon_name; /* A name from the icon theme. */
    uint32_t reserved0[2]; /* 0. */
};

#define PWMIXER_DEVICE_MUTED 1u /* It is muted. */
#define PWMIXER_DEVICE_SOURCE 2u /* It is a source; else it is a sink. */
#define PWMIXER_DEVICE_MONITOR 4u /* It is a source that listens to what a sink plays. */
#define PWMIXER_DEVICE_RUNNING 8u /* Something plays or records. */
#define PWMIXER_DEVICE_LOCKED 16u /* Its volume is held where it is. */

struct pwmixer_app {
    uint32_t id; /* From 1 on; never given twice in one file. 0 where there is no application. */
    uint32_t device; /* id of the device that its first stream is on, 0 for none. */
    uint32_t flags; /* See below. */
    float peak; /* Reserved for a level, 0.0 to 1.0; 0.0 so far. */
    double volume; /* Of its loudest stream, or what it will start with; 1.0 is 100 %, cubic. */
    double max_volume; /* The highest volume that it may be set to. */
    struct pwmixer_text app_id; /* Which application it is, such as flatpak:com.spotify.Client. */
    struct pwmixer_text name; /* What people call it. */
    struct pwmixer_text icon_name; /* A name from the icon theme. */
    uint32_t stream_count; /* How many streams it has. */
    uint32_t reserved0; /* 0. */
    uint32_t streams[16]; /* The numbers of its first streams, then 0. */
};

#define PWMIXER_APP_MUTED 1u /* All its streams are muted. */
#define PWMIXER_APP_ACTIVE 2u /* A stream of it plays or records; else all are corked, or there is none. */
#define PWMIXER_APP_HIDDEN 4u /* A rule says that lists leave it out. */
#define PWMIXER_APP_LOCKED 8u /* Its volume is held where it is. */
#define PWMIXER_APP_WRITABLE 16u /* Its volume can be set. */

_Static_assert(sizeof(struct pwmixer_header) == 128, "header");
_Static_assert(sizeof(struct pwmixer_device) == 64, "device");
_Static_assert(sizeof(struct pwmixer_app) == 128, "app");
/* end */

/* What the functions return. */
enum {
    PWMIXER_OK = 0,
    PWMIXER_ABSENT = -1,  /* the service does not run: ask again later */
    PWMIXER_BUSY = -2,    /* something is being written right now: look again at the next frame */
    PWMIXER_FOREIGN = -3, /* the file is not the user's own, or of a version that is not known here */
    PWMIXER_FAILED = -4,  /* see errno */
};

/* Begin with {.path = NULL} for the usual file; the rest is the reader's own. */
struct pwmixer_reader {
    const char *path;
    const unsigned char *base;
    unsigned char *copy;
    struct pwmixer_header fixed;
};

static inline uint32_t pwmixer_word(const struct pwmixer_reader *reader, size_t offset)
{
    return __atomic_load_n((const uint32_t *)(reader->base + offset), __ATOMIC_ACQUIRE);
}

/* Copy 32 bits at a time: what is read here may be written meanwhile, which is found out afterwards. */
static inline void pwmixer_take(const struct pwmixer_reader *reader, void *to, size_t offset, size_t size)
{
    const uint32_t *from = (const uint32_t *)(reader->base + offset);
    for (size_t i = 0; i < size / 4; i++) {
        uint32_t word = __atomic_load_n(from + i, __ATOMIC_RELAXED);
        memcpy((unsigned char *)to + 4 * i, &word, 4);
    }
}

/* Take a part of the file that was not written meanwhile, after `tries` at most. */
static inline uint32_t pwmixer_begin(const struct pwmixer_reader *reader)
{
    return pwmixer_word(reader, offsetof(struct pwmixer_header, sequence));
}

static inline bool pwmixer_is_whole(const struct pwmixer_reader *reader, uint32_t sequence)
{
    /* Nothing that was read before may be read after the sequence is. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(sequence & 1) && pwmixer_begin(reader) == sequence;
}

/* Let go of everything. The reader can be used again. */
static inline void pwmixer_close(struct pwmixer_reader *reader)
{
    if (reader->base)
        munmap((void *)reader->base, reader->fixed.size);
    free(reader->copy);
    reader->base = NULL;
    reader->copy = NULL;
}

static inline bool pwmixer_fits(const struct pwmixer_header *h)
{
    uint64_t devices = h->device_offset + (uint64_t)h->device_capacity * h->device_size;
    uint64_t apps = h->app_offset + (uint64_t)h->app_capacity * h->app_size;
    uint64_t texts = (uint64_t)h->text_offset + h->text_capacity;
    return h->device_size >= sizeof(struct pwmixer_device) && h->app_size >= sizeof(struct pwmixer_app) &&
           devices <= h->size && apps <= h->size && texts <= h->size && (h->device_offset | h->device_size) % 8 == 0 &&
           (h->app_offset | h->app_size | h->text_offset | h->text_capacity) % 8 == 0;
}

/* Open the file, if it is not open or was closed by the service. Called by the functions below. */
static inline int pwmixer_open(struct pwmixer_reader *reader)
{
    char usual[4096];
    const char *folder = getenv("PWMIXER_SHM_FOLDER");
    struct stat about;
    if (reader->base && !pwmixer_word(reader, offsetof(struct pwmixer_header, closed)))
        return PWMIXER_OK;
    pwmixer_close(reader);
    snprintf(usual, sizeof usual, "%s/pwmixer-%u", folder ? folder : "/dev/shm", (unsigned)getuid());
    int file = open(reader->path ? reader->path : usual, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT ? PWMIXER_ABSENT : errno == ELOOP ? PWMIXER_FOREIGN : PWMIXER_FAILED;
    /* Everybody may make a file in that folder. */
    if (fstat(file, &about) || !S_ISREG(about.st_mode) || about.st_uid != geteuid() ||
        about.st_size < (off_t)sizeof reader->fixed || about.st_size > UINT32_MAX) {
        close(file);
        return PWMIXER_FOREIGN;
    }
    void *base = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (base == MAP_FAILED)
        return PWMIXER_FAILED;
    reader->base = base;
    reader->fixed.size = (uint32_t)about.st_size;
    struct pwmixer_header found;
    pwmixer_take(reader, &found, 0, sizeof found);
    if (memcmp(found.magic, PWMIXER_MAGIC, sizeof found.magic) || found.version != PWMIXER_VERSION ||
        found.size != about.st_size || !pwmixer_fits(&found)) {
        pwmixer_close(reader);
        return PWMIXER_FOREIGN;
    }
    reader->fixed = found;
    if (found.closed) {
        pwmixer_close(reader);
        return PWMIXER_ABSENT;
    }
    reader->copy = calloc(1, found.size);
    if (!reader->copy) {
        pwmixer_close(reader);
        return PWMIXER_FAILED;
    }
    return PWMIXER_OK;
}

/* Copy the whole state. What the functions below return lies in this copy, and is valid until the next call of this one. */
static inline int pwmixer_read(struct pwmixer_reader *reader)
{
    int status = pwmixer_open(reader);
    if (status)
        return status;
    const struct pwmixer_header *h = &reader->fixed;
    struct pwmixer_header *copied = (struct pwmixer_header *)reader->copy;
    for (int tries = 0; tries < 1000; tries++) {
        uint32_t sequence = pwmixer_begin(reader);
        if (sequence & 1)
            continue;
        pwmixer_take(reader, copied, 0, sizeof *copied);
        if (copied->device_count > h->device_capacity || copied->app_count > h->app_capacity ||
            copied->text_used > h->text_capacity)
            continue; /* the count of another moment */
        pwmixer_take(reader, reader->copy + h->device_offset, h->device_offset, (size_t)copied->device_count * h->device_size);
        pwmixer_take(reader, reader->copy + h->app_offset, h->app_offset, (size_t)copied->app_count * h->app_size);
        pwmixer_take(reader, reader->copy + h->text_offset, h->text_offset, (copied->text_used + 3u) & ~3u);
        if (pwmixer_is_whole(reader, sequence))
            return PWMIXER_OK;
    }
    copied->device_count = copied->app_count = 0;
    return PWMIXER_BUSY;
}

/* After a pwmixer_read that returned PWMIXER_OK: */

static inline const struct pwmixer_header *pwmixer_header(const struct pwmixer_reader *reader)
{
    return (const struct pwmixer_header *)reader->copy;
}

/* The device at a place from 0 to device_count - 1. */
static inline const struct pwmixer_device *pwmixer_device(const struct pwmixer_reader *reader, uint32_t place)
{
    return (const void *)(reader->copy + reader->fixed.device_offset + (size_t)place * reader->fixed.device_size);
}

/* The application at a place from 0 to app_count - 1. */
static inline const struct pwmixer_app *pwmixer_app(const struct pwmixer_reader *reader, uint32_t place)
{
    return (const void *)(reader->copy + reader->fixed.app_offset + (size_t)place * reader->fixed.app_size);
}

static inline const char *pwmixer_text(const struct pwmixer_reader *reader, struct pwmixer_text text)
{
    return text.length ? (const char *)reader->copy + text.offset : "";
}

/* Read one application anew, quickly, at the place where the last pwmixer_read has found it: its texts do not change.
 * PWMIXER_ABSENT where another one is there now, or the service has gone: call pwmixer_read and find it again. */
static inline int pwmixer_look(const struct pwmixer_reader *reader, uint32_t place, uint32_t id, struct pwmixer_app *app)
{
    if (!reader->base || pwmixer_word(reader, offsetof(struct pwmixer_header, closed)))
        return PWMIXER_ABSENT;
    for (int tries = 0; tries < 1000; tries++) {
        uint32_t sequence = pwmixer_begin(reader);
        pwmixer_take(reader, app, reader->fixed.app_offset + (size_t)place * reader->fixed.app_size, sizeof *app);
        if (pwmixer_is_whole(reader, sequence))
            return app->id == id ? PWMIXER_OK : PWMIXER_ABSENT;
    }
    return PWMIXER_BUSY;
}

#endif
