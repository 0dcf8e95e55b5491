/**
 * Links do what faults ask of them: checked with plain sockets, without any server.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENT, Mesh } from './mesh.ts';
import { stablePorts } from './ports.ts';

let server: Server;
let mesh: Mesh;
const accepted: Socket[] = [];

/** A listener that keeps its connections, behind a proxy; and a connection to it that is through. */
async function world(pids = new Map<number, string>()): Promise<{ near: Socket; far: Socket; port: number }> {
  const [port, target] = (await stablePorts(2)) as [number, number];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
  });
  server.listen(target, '127.0.0.1');
  await once(server, 'listening');
  mesh = new Mesh(() => pids);
  await mesh.proxy('m1', port, target, pids.size > 0 ? 'members' : 'clients');
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  near.on('error', () => {});
  const [far] = (await once(server, 'connection')) as [Socket];
  return { near, far, port };
}

async function read(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString();
}

afterEach(async () => {
  await mesh.close();
  for (const socket of accepted.splice(0)) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

describe('links', () => {
  it('carry both directions, and know who calls', async () => {
    const { near, far } = await world(new Map([[process.pid, 'm2']]));
    near.write('there');
    expect(await read(far)).toBe('there');
    far.write('and back');
    expect(await read(near)).toBe('and back');
    expect(mesh.link('m2', 'm1').passedBytes).toBe(5);
    expect(mesh.link('m1', 'm2').passedBytes).toBe(8);
  });

  it('a cut in one direction holds what goes there and lets the other pass; healed, it lets go in order', async () => {
    const { near, far } = await world();
    mesh.cut([CLIENT], ['m1']);
    near.write('one ');
    far.write('still heard');
    expect(await read(near)).toBe('still heard');
    near.write('two');
    await expect.poll(() => mesh.link(CLIENT, 'm1').heldBytes).toBe(7);
    expect(mesh.link(CLIENT, 'm1').passedBytes).toBe(0);
    let heard = '';
    far.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    mesh.healAll();
    await expect.poll(() => heard).toBe('one two');
  });

  it('the end of a connection is no news over a cut link, until it heals', async () => {
    const { near, far } = await world();
    mesh.cut([CLIENT], ['m1']);
    let ended = false;
    far.once('close', () => {
      ended = true;
    });
    far.on('end', () => far.end());
    far.resume();
    near.destroy();
    // Another connection shows that the proxy has had its turn meanwhile.
    await once(near, 'close');
    expect(ended).toBe(false);
    mesh.healAll();
    await expect.poll(() => ended).toBe(true);
  });

  it('what was sent before the end arrives before it', async () => {
    const { near, far } = await world();
    const large = Buffer.alloc(300_000, 'x');
    let got = 0;
    near.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    far.end(large);
    await once(near, 'end');
    expect(got).toBe(large.length);
  });

  it('a delayed link keeps the order', async () => {
    const { near, far } = await world();
    mesh.link(CLIENT, 'm1').set({ delayMs: 5, jitterMs: 20 });
    let heard = '';
    far.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    for (let number = 0; number < 10; number++) {
      near.write(String(number));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => heard).toBe('0123456789');
  });

  it('reset breaks connections', async () => {
    const { near, far } = await world();
    near.write('x');
    await read(far);
    mesh.link(CLIENT, 'm1').reset();
    await expect.poll(() => near.destroyed).toBe(true);
    await expect.poll(() => far.destroyed).toBe(true);
  });
});
