// Reads the state of pwmixer in shared memory, as often as a display is drawn, without waking anybody.
//
// One module for GJS, such as a GNOME Shell extension. What the fields mean: docs/shared-memory.md. MIT licence.
//
//     import {Reader} from './pwmixer-shm.js';
//     const reader = new Reader();
//     const state = reader.read();    // null where the service does not run, or is writing right now
//     for (const app of state?.apps ?? [])
//         print(app.name, app.volume, app.muted);

import GLib from 'gi://GLib';
import Gio from 'gi://Gio';

// begin: written by scripts/gen_shm_layout.py
const MAGIC = 'PWMIXER\0';
const VERSION = 1;
const HEADER = {
    magic: 0,
    version: 8,
    size: 12,
    pid: 16,
    device_offset: 20,
    device_size: 24,
    device_capacity: 28,
    app_offset: 32,
    app_size: 36,
    app_capacity: 40,
    text_offset: 44,
    text_capacity: 48,
    closed: 52,
    sequence: 60,
    generation: 64,
    updated_ns: 72,
    flags: 80,
    device_count: 84,
    app_count: 88,
    text_used: 92,
    default_sink: 96,
    default_source: 100,
};
const HEADER_FLAGS = {
    connected: 1,
    devices_overflow: 256,
    apps_overflow: 512,
    streams_overflow: 1024,
    texts_overflow: 2048,
};
const DEVICE = {
    id: 0,
    index: 4,
    flags: 8,
    peak: 12,
    volume: 16,
    max_volume: 24,
    name: 32,
    description: 40,
    icon_name: 48,
};
const DEVICE_FLAGS = {
    muted: 1,
    source: 2,
    monitor: 4,
    running: 8,
    locked: 16,
};
const APP = {
    id: 0,
    device: 4,
    flags: 8,
    peak: 12,
    volume: 16,
    max_volume: 24,
    app_id: 32,
    name: 40,
    icon_name: 48,
    stream_count: 56,
    streams: 64,
};
const APP_FLAGS = {
    muted: 1,
    active: 2,
    hidden: 4,
    locked: 8,
    writable: 16,
};
const STREAMS = 16;
// end

const TRIES = 20;
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

export class Reader {
    // path: another file than the usual one.
    constructor(path = null) {
        const uid = new Gio.Credentials().get_unix_user();
        this._path = path ?? `${GLib.getenv('PWMIXER_SHM_FOLDER') ?? '/dev/shm'}/pwmixer-${uid}`;
        this._uid = uid;
        this._decoder = new TextDecoder();
        this.close();
    }

    // The present state, or null where there is none or it is being written: look again at the next frame. The same object
    // as before while nothing changes. Throws an Error for a file that is not the user's own or of an unknown version.
    read() {
        let view = this._view();
        if (!view || this._word(view, HEADER.closed)) {
            view = this._open();
            if (!view)
                return null;
        }
        for (let tries = 0; tries < TRIES; tries++) {
            const sequence = this._word(view, HEADER.sequence);
            if (sequence === this._sequence)
                return this._last;
            // Looked at through a new view each time, since a compiler may take memory that nobody here writes to for constant.
            const state = sequence & 1 ? null : this._decoded(this._view());
            view = this._view();
            if (state && this._word(view, HEADER.sequence) === sequence) {
                this._sequence = sequence;
                this._last = state;
                return state;
            }
        }
        return null;
    }

    // Let go of the file; to read again opens it again.
    close() {
        this._bytes = null;
        this._sequence = -1;
        this._last = null;
    }

    _view() {
        if (!this._bytes)
            return null;
        const array = this._bytes.toArray();
        return new DataView(array.buffer, array.byteOffset, array.byteLength);
    }

    _word(view, offset) {
        return view.getUint32(offset, LITTLE);
    }

    _open() {
        this.close();
        const file = Gio.File.new_for_path(this._path);
        const [attributes, nofollow] = ['standard::type,unix::uid', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS];
        try {
            // Everybody may make a file in that folder.
            const info = file.query_info(attributes, nofollow, null);
            const isOwn = info.get_attribute_uint32('unix::uid') === this._uid;
            if (info.get_file_type() !== Gio.FileType.REGULAR || !isOwn)
                throw new Error(`${this._path} is not a file of your own`);
            this._bytes = GLib.MappedFile.new(this._path, false).get_bytes();
        } catch (error) {
            if (error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND) ||
                error.matches?.(GLib.FileError, GLib.FileError.NOENT))
                return null;
            throw error;
        }
        const view = this._view();
        if (!this._isKnown(view)) {
            this.close();
            throw new Error(`${this._path} is not of version ${VERSION}, which is all that this reader knows`);
        }
        if (this._word(view, HEADER.closed)) {
            this.close();
            return null;
        }
        return view;
    }

    _isKnown(view) {
        if (view.byteLength < HEADER.sequence)
            return false;
        const magic = this._decoder.decode(new Uint8Array(view.buffer, view.byteOffset, MAGIC.length));
        return magic === MAGIC && this._word(view, HEADER.version) === VERSION &&
            this._word(view, HEADER.size) === view.byteLength;
    }

    // What is decoded may be of several moments, as long as the sequence has not been looked at again.
    _decoded(view) {
        const word = at => this._word(view, at);
        const flags = word(HEADER.flags);
        const count = (number, most) => Math.min(word(number), word(most));
        return {
            generation: Number(view.getBigUint64(HEADER.generation, LITTLE)),
            updatedNs: view.getBigUint64(HEADER.updated_ns, LITTLE),
            connected: (flags & HEADER_FLAGS.connected) !== 0,
            overflow: Object.keys(HEADER_FLAGS)
                .filter(name => name.endsWith('_overflow') && flags & HEADER_FLAGS[name])
                .map(name => name.replace('_overflow', '')),
            defaultSink: word(HEADER.default_sink),
            defaultSource: word(HEADER.default_source),
            devices: Array.from({length: count(HEADER.device_count, HEADER.device_capacity)}, (_, place) =>
                this._device(view, word(HEADER.device_offset) + place * word(HEADER.device_size))),
            apps: Array.from({length: count(HEADER.app_count, HEADER.app_capacity)}, (_, place) =>
                this._app(view, word(HEADER.app_offset) + place * word(HEADER.app_size))),
        };
    }

    _device(view, at) {
        const flags = this._word(view, at + DEVICE.flags);
        return {
            id: this._word(view, at + DEVICE.id),
            kind: flags & DEVICE_FLAGS.source ? 'source' : 'sink',
            index: this._word(view, at + DEVICE.index),
            name: this._text(view, at + DEVICE.name),
            description: this._text(view, at + DEVICE.description),
            iconName: this._text(view, at + DEVICE.icon_name),
            volume: view.getFloat64(at + DEVICE.volume, LITTLE),
            maxVolume: view.getFloat64(at + DEVICE.max_volume, LITTLE),
            peak: view.getFloat32(at + DEVICE.peak, LITTLE),
            muted: (flags & DEVICE_FLAGS.muted) !== 0,
            monitor: (flags & DEVICE_FLAGS.monitor) !== 0,
            running: (flags & DEVICE_FLAGS.running) !== 0,
            locked: (flags & DEVICE_FLAGS.locked) !== 0,
        };
    }

    _app(view, at) {
        const flags = this._word(view, at + APP.flags);
        const streamCount = this._word(view, at + APP.stream_count);
        return {
            id: this._word(view, at + APP.id),
            appId: this._text(view, at + APP.app_id),
            name: this._text(view, at + APP.name),
            iconName: this._text(view, at + APP.icon_name),
            volume: view.getFloat64(at + APP.volume, LITTLE),
            maxVolume: view.getFloat64(at + APP.max_volume, LITTLE),
            peak: view.getFloat32(at + APP.peak, LITTLE),
            muted: (flags & APP_FLAGS.muted) !== 0,
            active: (flags & APP_FLAGS.active) !== 0,
            hidden: (flags & APP_FLAGS.hidden) !== 0,
            locked: (flags & APP_FLAGS.locked) !== 0,
            writable: (flags & APP_FLAGS.writable) !== 0,
            device: this._word(view, at + APP.device),
            streamCount,
            streams: Array.from({length: Math.min(streamCount, STREAMS)}, (_, i) =>
                this._word(view, at + APP.streams + 4 * i)),
        };
    }

    _text(view, at) {
        const [offset, length] = [this._word(view, at), this._word(view, at + 4)];
        if (offset + length > view.byteLength)
            return '';
        const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
        // A first U+FEFF is a mark of the encoding to some decoders, which drop it.
        let marks = 0;
        while (bytes[3 * marks] === 0xef && bytes[3 * marks + 1] === 0xbb && bytes[3 * marks + 2] === 0xbf)
            marks++;
        return '\ufeff'.repeat(marks) + this._decoder.decode(bytes.subarray(3 * marks));
    }
}
