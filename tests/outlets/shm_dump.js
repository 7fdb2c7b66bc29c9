// Prints what the reader for GJS reads of each file, as a line of JSON; the reader's folder is the first argument.
import System from 'system';
import GLib from 'gi://GLib';

const [readers, ...paths] = ARGV;
const loop = new GLib.MainLoop(null, false);
import(`file://${readers}/pwmixer-shm.js`)
    .then(({Reader}) => {
        for (const path of paths) {
            const reader = new Reader(path);
            const state = reader.read();
            if (state !== reader.read())
                throw new Error('what has not changed is another object');
            print(JSON.stringify(state, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
        }
        loop.quit();
    })
    .catch(error => {
        printerr(error, error.stack);
        System.exit(1);
    });
loop.run();
