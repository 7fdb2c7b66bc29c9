// Reads the shared memory in the storm of scripts/shm_storm.py, and prints how often, how many states, and how many torn.
//     gjs -m shm_storm.js FOLDER_OF_THE_READER STATES FILE
import GLib from 'gi://GLib';

const CYCLE = 840;
const [readers, wanted, path] = ARGV;

function isWhole(state) {
    const turn = state.generation % CYCLE;
    const fits = record => record.volume === turn / CYCLE && record.maxVolume === 1.5 - turn / CYCLE &&
        record.muted === (turn % 2 === 1);
    return state.apps.length === 5 + turn % 7 && state.devices.length === 1 + turn % 3 &&
        state.defaultSink === state.generation % 1000 && state.connected === (state.generation % 2 === 0) &&
        state.devices.every(device => fits(device) && device.index === turn &&
            device.description === `${device.name.slice('sink '.length)} of ${turn}`) &&
        state.apps.every(app => fits(app) && app.device === turn &&
            app.name === `${app.appId.slice('app '.length)} in ${turn}` &&
            app.streams.length === turn % 5 && app.streams.every((stream, i) => stream === turn + i));
}

const {Reader} = await import(`file://${readers}/pwmixer-shm.js`);
const reader = new Reader(path);
let [reads, states, torn, busy, last] = [0, 0, 0, 0, null];
while (states < Number(wanted)) {
    const state = reader.read();
    reads++;
    if (!state || state === last) {
        busy += state ? 0 : 1;
        GLib.usleep(10);
        continue;
    }
    last = state;
    states++;
    if (!isWhole(state))
        torn++;
}
print(reads, states, torn, busy);
