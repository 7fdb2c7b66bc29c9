// A program that holds streams where they are: gjs -m holder.js
//
// Prints ready and released; answers each line on stdin with what the call of its "method" with its "values" returned, or
// with the name of its error.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

const loop = new GLib.MainLoop(null, false);

function say(event, details = {}) {
    print(JSON.stringify({event, ...details}));
}

const proxy = Gio.DBusProxy.new_for_bus_sync(Gio.BusType.SESSION, Gio.DBusProxyFlags.NONE, null, 'org.pwmixer.Mixer',
    '/org/pwmixer/Mixer', 'org.pwmixer.Mixer', null);
const signatures = {HoldRouting: '(sss)', ReleaseHold: '(u)'};

proxy.connect('g-signal', (_proxy, _sender, name, values) => {
    if (name === 'HoldReleased')
        say('released', {values: values.recursiveUnpack()});
});

function call(method, values) {
    try {
        const parameters = new GLib.Variant(signatures[method], values);
        say('answer', {values: proxy.call_sync(method, parameters, Gio.DBusCallFlags.NONE, -1, null).recursiveUnpack()});
    } catch (error) {
        say('answer', {error: Gio.DBusError.get_remote_error(error)});
    }
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
        const {method, values} = JSON.parse(line);
        call(method, values);
        listen();
    });
}

listen();
say('ready');
loop.run();
