// A bare Gio.DBusProxy of which one property is written as gjs writes it: gjs -m writer.js OBJECT-PATH INTERFACE NAME
//
// gjs puts an assigned value into the cache before it sends it, and leaves it there when the service refuses it.
// Prints ready and changed; answers each line on stdin with the cached value, after writing its "value", if it has one.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import {run, say} from './lines.js';

const [path, wanted, name] = System.programArgs;

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

run(({value}) => {
    if (value !== undefined)
        write(value);
    say('answer', {value: proxy.get_cached_property(name).recursiveUnpack()});
});
