/** What a running command may use: the global flags, the streams, the clients it needs, and the way to print. */
import { type Client, type ConnectOptions, connect } from '@quorate/client';
import { badArgs, CommandError, ExitCode } from './exit.ts';
import type { FlagValues } from './flags.ts';
import { checkFormat, type Report, render } from './output/report.ts';
import { readTlsFiles } from './tls-files.ts';

export interface Io {
  readonly stdin: NodeJS.ReadableStream;
  readonly env: NodeJS.ProcessEnv;
  stdout(bytes: string | Uint8Array): void;
  stderr(text: string): void;
  /** Ends commands that go on until they are interrupted; absent: the signals of this process do. */
  readonly interrupt?: AbortSignal;
  /** Programs that a command runs write to this process's own streams, not to `stdout` and `stderr` above. */
  readonly inheritStdio?: boolean;
}

export class Context {
  readonly io: Io;
  readonly globals: FlagValues;
  private readonly clients: Client[] = [];
  private endpointList: string[] | undefined;

  constructor(io: Io, globals: FlagValues) {
    this.io = io;
    this.globals = globals;
  }

  get hex(): boolean {
    return this.globals.bool('hex');
  }

  /** The limit of one call for commands that have one. */
  get timeoutMs(): number {
    return this.globals.durationMs('command-timeout');
  }

  /** `--endpoints`, or what DNS says with `--discovery-srv`. */
  async endpoints(): Promise<string[]> {
    if (this.endpointList) return this.endpointList;
    const domain = this.globals.string('discovery-srv');
    if (domain === '') this.endpointList = this.globals.list('endpoints');
    else {
      const { discover } = await import('./discovery.ts');
      this.endpointList = await discover(domain, {
        serviceName: this.globals.string('discovery-srv-name'),
        acceptInsecure: this.globals.bool('insecure-discovery'),
      });
    }
    if (this.endpointList.length === 0)
      throw new CommandError(ExitCode.BAD_CONNECTION, 'no endpoints provided');
    return this.endpointList;
  }

  /** A client for all endpoints, or for the ones given. Closed when the command ends. */
  async client(endpoints?: readonly string[]): Promise<Client> {
    checkFormat(this.globals.string('write-out'));
    const options = await this.connectOptions(endpoints ?? (await this.endpoints()));
    try {
      const client = connect(options);
      this.clients.push(client);
      return client;
    } catch (error) {
      throw new CommandError(ExitCode.BAD_CONNECTION, (error as Error).message, { cause: error });
    }
  }

  /** Prints one answer in the format that `--write-out` names. */
  print(report: Report): void {
    const format = { hex: this.hex };
    render(report, this.globals.string('write-out'), format, (piece) => this.io.stdout(piece));
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private async connectOptions(endpoints: readonly string[]): Promise<ConnectOptions> {
    const { globals } = this;
    for (const name of ['cert', 'key', 'cacert'])
      if (globals.has(name) && globals.string(name) === '')
        throw badArgs(`empty string is passed to --${name} option`);
    const { cert, key, ca } = readTlsFiles({
      cert: globals.string('cert'),
      key: globals.string('key'),
      cacert: globals.string('cacert'),
    });
    const insecureSkipVerify = globals.bool('insecure-skip-tls-verify');
    // As etcdctl: TLS when there is anything to do it with, or when the user asked not to go without.
    const secure =
      cert !== undefined || ca !== undefined || insecureSkipVerify || !globals.bool('insecure-transport');
    const auth = await this.auth();
    const maxSendBytes = Number(globals.int('max-request-bytes'));
    const maxReceiveBytes = Number(globals.int('max-recv-bytes'));
    return {
      endpoints,
      ...(secure && {
        tls: { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }), insecureSkipVerify },
      }),
      ...(auth && { auth }),
      callTimeoutMs: this.timeoutMs,
      connectTimeoutMs: globals.durationMs('dial-timeout'),
      keepaliveTimeMs: globals.durationMs('keepalive-time'),
      keepaliveTimeoutMs: globals.durationMs('keepalive-timeout'),
      ...(maxSendBytes > 0 && { maxSendBytes }),
      ...(maxReceiveBytes > 0 && { maxReceiveBytes }),
    };
  }

  private async auth(): Promise<ConnectOptions['auth']> {
    const token = this.globals.string('auth-jwt-token');
    if (token !== '') return { token };
    const user = this.globals.string('user');
    if (user === '') return undefined;
    if (this.globals.has('password')) return { username: user, password: this.globals.string('password') };
    const colon = user.indexOf(':');
    if (colon >= 0) return { username: user.slice(0, colon), password: user.slice(colon + 1) };
    const { promptPassword } = await import('./prompt.ts');
    return { username: user, password: await promptPassword(this.io, 'Password: ') };
  }
}
