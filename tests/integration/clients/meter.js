// A program with meters: gjs -m meter.js
//
// Prints ready, and then of each meter its frames (levels, null for NaN) and its end. Answers each line on stdin: "open" with
// "targets" and "options", "close" and "read" (one that was opened with "wait") with its number.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import {UnixInputStream, run, say} from './lines.js';

const bus = Gio.bus_get_sync(Gio.BusType.SESSION, null);
const meters = [];

function levels(frame) {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    return Array.from({length: frame.byteLength / 4}, (_, i) => view.getFloat32(4 * i, true));
}

function read(number) {
    const {stream, cancellable} = meters[number];
    stream.read_bytes_async(4096, GLib.PRIORITY_DEFAULT, cancellable, (_stream, result) => {
        if (cancellable.is_cancelled()) {
            stream.close(null);
            return;
        }
        const frame = stream.read_bytes_finish(result).toArray();
        if (frame.length === 0) {
            say('end', {meter: number});
            return;
        }
        say('frame', {meter: number, levels: levels(frame)});
        read(number);
    });
}

function open({targets, options = {}, wait = false}) {
    const typed = Object.fromEntries(Object.entries(options).map(([name, value]) => [name, new GLib.Variant('d', value)]));
    const [reply, descriptors] = bus.call_with_unix_fd_list_sync('org.pwmixer.Mixer', '/org/pwmixer/Mixer', 'org.pwmixer.Mixer',
        'OpenMeter', new GLib.Variant('(asa{sv})', [targets, typed]), new GLib.VariantType('(h)'), Gio.DBusCallFlags.NONE, -1,
        null, null);
    const [handle] = reply.deepUnpack();
    // Not get(), which makes a copy: the first one would keep the meter open until the garbage is collected.
    const stream = UnixInputStream.new(descriptors.steal_fds()[handle], true);
    const number = meters.push({stream, cancellable: new Gio.Cancellable()}) - 1;
    if (!wait)
        read(number);
    return number;
}

const orders = {
    open: order => open(order),
    close: ({meter}) => meters[meter].cancellable.cancel(),
    read: ({meter}) => read(meter),
};

run(order => {
    try {
        say('answer', {meter: orders[order.do](order)});
    } catch (error) {
        say('answer', {error: Gio.DBusError.get_remote_error(error)});
    }
});
