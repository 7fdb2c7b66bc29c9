// A Gio.DBusObjectManagerClient: gjs -m manager.js
//
// Prints a JSON line for the start (ready, with all objects and their cached properties), for what comes and goes
// (added, removed, interface-added, interface-removed), for what changes (changed, owner), and an answer with all objects
// for every line on stdin.
import Gio from 'gi://Gio';
import {run, say} from './lines.js';

function cached(proxy) {
    const names = proxy.get_cached_property_names() ?? [];
    return Object.fromEntries(names.map(name => [name, proxy.get_cached_property(name).recursiveUnpack()]));
}

function interfaces(object) {
    return Object.fromEntries(object.get_interfaces().map(proxy => [proxy.g_interface_name, cached(proxy)]));
}

const manager = Gio.DBusObjectManagerClient.new_for_bus_sync(Gio.BusType.SESSION,
    Gio.DBusObjectManagerClientFlags.NONE, 'org.pwmixer.Mixer', '/org/pwmixer/Mixer', null, null);

function objects() {
    return Object.fromEntries(manager.get_objects().map(object => [object.get_object_path(), interfaces(object)]));
}

manager.connect('object-added', (_manager, object) =>
    say('added', {path: object.get_object_path(), interfaces: interfaces(object)}));
manager.connect('object-removed', (_manager, object) => say('removed', {path: object.get_object_path()}));
for (const name of ['interface-added', 'interface-removed']) {
    manager.connect(name, (_manager, object, proxy) =>
        say(name, {path: object.get_object_path(), interface: proxy.g_interface_name}));
}
manager.connect('interface-proxy-properties-changed', (_manager, object, proxy, changed, invalidated) =>
    say('changed', {
        path: object.get_object_path(),
        interface: proxy.g_interface_name,
        changed: changed.recursiveUnpack(),
        invalidated,
    }));
manager.connect('notify::name-owner', () => say('owner', {owner: manager.name_owner}));

run(() => say('answer', {objects: objects()}), {objects: objects()});
