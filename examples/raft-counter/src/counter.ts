/**
 * A replicated counter: three processes, plain TCP, one number that they agree on.
 *
 *     node counter.ts 1 7101 7201 1=127.0.0.1:7101 2=127.0.0.1:7102 3=127.0.0.1:7103
 *     $ nc 127.0.0.1 7201
 *     add 5
 *     ok 5
 *     get
 *     ok 5
 *
 * Arguments: own id, port for peers, port for clients, then every member. The log is in memory: a process that ends
 * must not come back under its id (see `MemoryDriverStorage`); a real service brings a `DriverStorage` on disk.
 */
import { randomInt } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import {
  CodecError,
  DriverError,
  decodeMessage,
  EMPTY_CONF,
  encodeMessage,
  MemoryDriverStorage,
  type Message,
  RaftDriver,
  type StateMachine,
  type Transport,
} from '@quorate/raft';

/** The state machine: a big integer, and additions to it. */
class Counter implements StateMachine<bigint> {
  value = 0n;

  apply(data: Uint8Array): bigint {
    this.value += new DataView(data.buffer, data.byteOffset).getBigInt64(0);
    return this.value;
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(String(this.value));
  }

  restore(data: Uint8Array): void {
    this.value = BigInt(new TextDecoder().decode(data));
  }
}

/** Frames: four bytes of length, then a message. A peer that sends anything else is cut off. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** Bytes waiting for a slow peer after which messages to it are dropped; Raft copes with loss. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

function frame(message: Message): Buffer {
  const body = encodeMessage(message);
  const framed = Buffer.allocUnsafe(4 + body.byteLength);
  framed.writeUInt32BE(body.byteLength);
  framed.set(body, 4);
  return framed;
}

function readFrames(socket: Socket, receive: (message: Message) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer): unknown => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.byteLength >= 4) {
      const length = pending.readUInt32BE();
      if (length > MAX_FRAME_BYTES) return socket.destroy();
      if (pending.byteLength < 4 + length) return undefined;
      try {
        receive(decodeMessage(pending.subarray(4, 4 + length)));
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        return socket.destroy();
      }
      pending = pending.subarray(4 + length);
    }
    return undefined;
  });
  socket.on('error', () => socket.destroy());
}

/** One outgoing connection to each peer, opened when there is something to say. */
class TcpTransport implements Transport {
  readonly #peers: ReadonlyMap<bigint, { host: string; port: number }>;
  readonly #sockets = new Map<bigint, Socket>();
  onLost: (id: bigint) => void = () => {};

  constructor(peers: ReadonlyMap<bigint, { host: string; port: number }>) {
    this.#peers = peers;
  }

  send(message: Message): void {
    this.#write(message, () => {});
  }

  sendSnapshot(message: Message): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#write(message, (error) => (error ? reject(error) : resolve())),
    );
  }

  #write(message: Message, done: (error?: Error | null) => void): void {
    const socket = this.#socket(message.to);
    if (socket !== null && socket.writableLength <= MAX_QUEUED_BYTES) socket.write(frame(message), done);
    else done(new Error('not sent'));
  }

  #socket(id: bigint): Socket | null {
    const open = this.#sockets.get(id);
    if (open !== undefined) return open;
    const address = this.#peers.get(id);
    if (address === undefined) return null;
    const socket = connect({ ...address, noDelay: true });
    this.#sockets.set(id, socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(id);
      this.onLost(id);
    });
    return socket;
  }
}

function addition(amount: bigint): Uint8Array {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigInt64(0, amount);
  return data;
}

/** Answers one line of a client. */
async function answer(line: string, driver: RaftDriver<bigint>, counter: Counter): Promise<string> {
  const [command, amount] = line.trim().split(/\s+/);
  try {
    if (command === 'add' && /^-?\d{1,18}$/.test(amount ?? '')) {
      return `ok ${await driver.propose(addition(BigInt(amount!)))}`;
    }
    if (command === 'get') {
      await driver.read();
      return `ok ${counter.value}`;
    }
    if (command === 'who') return `ok ${driver.status().role} of ${driver.status().leader}`;
    return 'error commands are: add NUMBER, get, who';
  } catch (error) {
    return `error ${error instanceof DriverError ? error.code : String(error)}`;
  }
}

function serveClient(socket: Socket, driver: RaftDriver<bigint>, counter: Counter): void {
  let pending = '';
  let order = Promise.resolve();
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop()!;
    if (pending.length > 1000) return void socket.destroy();
    for (const line of lines) {
      order = order.then(async () => void socket.write(`${await answer(line, driver, counter)}\n`));
    }
  });
  socket.on('error', () => socket.destroy());
}

const [idText, peerPort, clientPort, ...members] = process.argv.slice(2);
const peers = new Map(
  members.map((member) => {
    const [id, host, port] = member.split(/[=:]/);
    return [BigInt(id!), { host: host!, port: Number(port) }] as const;
  }),
);
const counter = new Counter();
const transport = new TcpTransport(peers);
const driver = new RaftDriver({
  node: { id: BigInt(idText!), random: (bound) => randomInt(bound) },
  storage: new MemoryDriverStorage({ ...EMPTY_CONF, voters: [...peers.keys()] }),
  transport,
  machine: counter,
});
transport.onLost = (id) => driver.reportUnreachable(id);
createServer((socket) => readFrames(socket, (message) => driver.receive(message))).listen(Number(peerPort));
createServer((socket) => serveClient(socket, driver, counter)).listen(Number(clientPort), () =>
  console.log(`counter ${idText} ready`),
);
setInterval(() => {
  driver.tick();
  if (driver.stopped !== null) throw driver.stopped;
}, 50);
