// A Gio.DBusProxy as a shell extension makes one: gjs -m proxy.js OBJECT-PATH INTERFACE
//
// Prints a JSON line for the start (ready), for what changes (changed, owner, signal) and for what it is asked on stdin:
// {"do": "read", "name": N}               answers with the value in the proxy's cache
// {"do": "write", "name": N, "value": V}  assigns to the property, which gjs puts into the cache before it sends it, and
//                                         leaves there when it is refused; a "number" is a text for what JSON has not, as NaN
// {"do": "call", "method": M, "arguments": [...], "options": {"name": ["signature", value]}}  without options where M takes none
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import {run, say} from './lines.js';

const NAME = 'org.pwmixer.Mixer';
const [path, wanted] = System.programArgs;

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
    write({name, value, number}) {
        proxy[name] = number === undefined ? value : Number(number);
        say('answer', {value: number === undefined ? proxy[name] : String(proxy[name])});
    },
    call({method, arguments: given, options}) {
        const wrapped = Object.entries(options ?? {}).map(([name, [signature, value]]) =>
            [name, new GLib.Variant(signature, value)]);
        proxy[`${method}Remote`](...given, ...options ? [Object.fromEntries(wrapped)] : [], (result, error) =>
            say('answer', error ? {error: Gio.DBusError.get_remote_error(error), message: error.message} : {value: result}));
    },
};

run(order => orders[order.do](order), {owner: proxy.g_name_owner});
