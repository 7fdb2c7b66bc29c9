// A bare Gio.DBusProxy of which one property is written as gjs writes it: gjs -m writer.js OBJECT-PATH INTERFACE NAME
//
// gjs puts an assigned value into the cache before it sends it, and leaves it there when the service refuses it.
// Prints ready and changed; answers each line on stdin with the cached value, after writing its "value", if it has one.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const [path, wanted, name] = System.programArgs;
const loop = new GLib.MainLoop(null, false);

function say(event, details = {}) {
    print(JSON.stringify({event, ...details}));
}

const proxy = Gio.DBusProxy.new_for_bus_sync(Gio.BusType.SESSION, Gio.DBusProxyFlags.NONE, null, 'org.pwmixer.Mixer',
    path, wanted, null);
const signature = proxy.get_cached_property(name).get_type_string();

proxy.connect('g-properties-changed', (_proxy, changed, invalidated) =>
    say('changed', {changed: changed.recursiveUnpack(), invalidated}));

function write(value) {
    const variant = new GLib.Variant(signature, value);
    proxy.set_cached_property(name, variant);
    proxy.call('org.freedesktop.DBus.Properties.Set', new GLib.Variant('(ssv)', [wanted, name, variant]),
        Gio.DBusCallFlags.NONE, -1, null, null);
}

// GLib 2.80 has taken what is for Unix alone out of Gio.
const {InputStream: UnixInputStream} = await import('gi://GioUnix').then(m => m.default, () => ({InputStream: Gio.UnixInputStream}));
const stdin = new Gio.DataInputStream({base_stream: UnixInputStream.new(0, false)});
function listen() {
    stdin.read_line_async(GLib.PRIORITY_DEFAULT, null, (_stream, result) => {
        const [line] = stdin.read_line_finish_utf8(result);
        if (line === null) {
            loop.quit();
            return;
        }
        const {value} = JSON.parse(line);
        if (value !== undefined)
            write(value);
        say('answer', {value: proxy.get_cached_property(name).recursiveUnpack()});
        listen();
    });
}

listen();
say('ready');
loop.run();
