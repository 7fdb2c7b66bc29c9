// A Gio.DBusProxy as a shell extension makes one: gjs -m proxy.js OBJECT-PATH INTERFACE
//
// Prints a JSON line for the start (ready), for what changes (changed, owner, signal) and for what it is asked on stdin:
// {"do": "read", "name": N}               answers with the value in the proxy's cache
// {"do": "write", "name": N, "value": V}  assigns to the property; a text is taken as a number ("NaN")
// {"do": "call", "method": M, "arguments": [...], "options": {"name": ["signature", value]}}
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

// GLib 2.80 has taken what is for Unix alone out of Gio.
const {InputStream: UnixInputStream} = await import('gi://GioUnix').then(m => m.default, () => ({InputStream: Gio.UnixInputStream}));
const NAME = 'org.pwmixer.Mixer';
const [path, wanted] = System.programArgs;
const loop = new GLib.MainLoop(null, false);

function say(event, details = {}) {
    print(JSON.stringify({event, ...details}, (_key, value) =>
        typeof value === 'number' && !Number.isFinite(value) ? String(value) : value));
}

function plain(variant) {
    return variant.recursiveUnpack();
}

const [xml] = Gio.DBus.session.call_sync(NAME, path, 'org.freedesktop.DBus.Introspectable', 'Introspect',
    null, null, Gio.DBusCallFlags.NONE, 5000, null).deepUnpack();
const info = Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(wanted);
const described = new GLib.String('');
info.generate_xml(0, described);
const Proxy = Gio.DBusProxy.makeProxyWrapper(`<node>${described.str}</node>`);
const proxy = new Proxy(Gio.DBus.session, NAME, path);

proxy.connect('g-properties-changed', (_proxy, changed, invalidated) =>
    say('changed', {changed: plain(changed), invalidated}));
proxy.connect('notify::g-name-owner', () => say('owner', {owner: proxy.g_name_owner}));
proxy.connect('g-signal', (_proxy, _sender, name, body) => say('signal', {name, body: plain(body)}));

const orders = {
    read({name}) {
        say('answer', {value: proxy[name]});
    },
    write({name, value}) {
        proxy[name] = typeof value === 'string' ? Number(value) : value;
        say('answer', {value: proxy[name]});
    },
    call({method, arguments: given, options}) {
        const wrapped = Object.entries(options).map(([name, [signature, value]]) =>
            [name, new GLib.Variant(signature, value)]);
        proxy[`${method}Remote`](...given, Object.fromEntries(wrapped), (result, error) =>
            say('answer', error ? {error: Gio.DBusError.get_remote_error(error), message: error.message} : {value: result}));
    },
};

const stdin = new Gio.DataInputStream({base_stream: UnixInputStream.new(0, false)});
function listen() {
    stdin.read_line_async(GLib.PRIORITY_DEFAULT, null, (_stream, result) => {
        const [line] = stdin.read_line_finish_utf8(result);
        if (line === null) {
            loop.quit();
            return;
        }
        const order = JSON.parse(line);
        orders[order.do](order);
        listen();
    });
}

listen();
say('ready', {owner: proxy.g_name_owner});
loop.run();
