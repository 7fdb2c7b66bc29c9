// What all the clients do: print a JSON line for everything that happens to them, and do what lines on their stdin say.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

// GLib 2.80 has taken what is for Unix alone out of Gio.
export const {InputStream: UnixInputStream} = await import('gi://GioUnix').then(m => m.default, () => ({InputStream: Gio.UnixInputStream}));

export function say(event, details = {}) {
    print(JSON.stringify({event, ...details}));
}

// Tells that it is ready, with details, and obeys until stdin ends.
export function run(obey, details) {
    const loop = new GLib.MainLoop(null, false);
    const stdin = new Gio.DataInputStream({base_stream: UnixInputStream.new(0, false)});

    function listen() {
        stdin.read_line_async(GLib.PRIORITY_DEFAULT, null, (_stream, result) => {
            const [line] = stdin.read_line_finish_utf8(result);
            if (line === null) {
                loop.quit();
                return;
            }
            obey(JSON.parse(line));
            listen();
        });
    }

    listen();
    say('ready', details);
    loop.run();
}
