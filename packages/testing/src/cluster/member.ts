/**
 * One member as a process: started, killed, paused and started again in the same folder, under one name.
 *
 * Signals go to the process that was started here and to no other. Everything it writes goes to a file of its own, all
 * incarnations one after the other.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { spawnBound } from '../process/child.ts';
import { cleanEnvironment, type ServerKind, serverCommand } from '../process/server-process.ts';

export interface MemberPlace {
  readonly name: string;
  /** What clients and peers dial: the proxies. */
  readonly clientPort: number;
  readonly peerPort: number;
  /** What the process listens on. */
  readonly ownClientPort: number;
  readonly ownPeerPort: number;
  readonly folder: string;
}

export class ClusterMember {
  readonly kind: ServerKind;
  readonly place: MemberPlace;
  readonly #flags: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;
  #ended: Promise<number | null> = Promise.resolve(null);
  #paused = false;
  /** Which life this is, from 0; -1 before the first. */
  incarnation = -1;
  /** Exit codes of lives that ended without being asked to. */
  readonly unexpectedEnds: {
    readonly incarnation: number;
    readonly code: number | null;
    readonly signal: string | null;
  }[] = [];
  #asked = false;

  constructor(
    kind: ServerKind,
    place: MemberPlace,
    flags: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.kind = kind;
    this.place = place;
    this.#flags = flags;
    this.#env = env;
  }

  get name(): string {
    return this.place.name;
  }

  get dataDirectory(): string {
    return join(this.place.folder, 'data');
  }

  get logFile(): string {
    return join(this.place.folder, 'log');
  }

  /** Through the client proxy. */
  get endpoint(): string {
    return `127.0.0.1:${this.place.clientPort}`;
  }

  /** Past the proxy: what observers use. */
  get directEndpoint(): string {
    return `127.0.0.1:${this.place.ownClientPort}`;
  }

  get peerUrl(): string {
    return `http://127.0.0.1:${this.place.peerPort}`;
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  get pid(): number {
    return this.isRunning ? (this.#child?.pid ?? -1) : -1;
  }

  /** Starts the process; that it serves is for the cluster to wait for. `more` for this life alone. */
  start(
    cluster: { readonly initial: string; readonly state: 'new' | 'existing' },
    more: readonly string[] = [],
  ): void {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    mkdirSync(this.place.folder, { recursive: true });
    const { program, leading } = serverCommand(this.kind);
    const { place } = this;
    const log = openSync(this.logFile, 'a');
    writeSync(log, `---- life ${this.incarnation + 1}\n`);
    const child = spawnBound(
      program,
      [
        ...leading,
        `--name=${place.name}`,
        `--data-dir=${this.dataDirectory}`,
        `--listen-client-urls=http://127.0.0.1:${place.ownClientPort}`,
        `--advertise-client-urls=http://${this.endpoint}`,
        `--listen-peer-urls=http://127.0.0.1:${place.ownPeerPort}`,
        `--initial-advertise-peer-urls=${this.peerUrl}`,
        `--initial-cluster=${cluster.initial}`,
        `--initial-cluster-state=${cluster.state}`,
        ...this.#flags,
        ...more,
      ],
      { stdio: ['ignore', log, log], env: { ...cleanEnvironment(), ...this.#env } },
    );
    closeSync(log);
    this.#child = child;
    this.#paused = false;
    this.#asked = false;
    const incarnation = ++this.incarnation;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (!this.#asked) this.unexpectedEnds.push({ incarnation, code, signal });
        resolve(code);
      });
      child.once('error', () => resolve(-1));
    });
  }

  /** Resolves with the exit code of the present life. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Says that the coming end is meant: a fault that makes the process end by itself. */
  expectEnd(): void {
    this.#asked = true;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.isRunning) {
      this.#asked = true;
      this.#child?.kill(signal);
      // A stopped process takes no other signal than SIGKILL.
      if (this.#paused && signal !== 'SIGKILL') this.continue();
    }
    return this.#ended;
  }

  pause(): void {
    if (!this.isRunning) return;
    this.#child?.kill('SIGSTOP');
    this.#paused = true;
  }

  continue(): void {
    if (this.isRunning) this.#child?.kill('SIGCONT');
    this.#paused = false;
  }

  /** Throws the data away; the member must be down. */
  wipe(): void {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  /** What it wrote, the last 64 kB. */
  output(): string {
    return readFileSync(this.logFile, 'utf8').slice(-65_536);
  }
}
