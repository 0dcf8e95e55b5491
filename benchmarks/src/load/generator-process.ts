/** The generator as its owner sees it: a process that runs one job after the other. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromGenerator, Job, JobResult } from './job.ts';

export class GeneratorProcess {
  readonly #child: ChildProcess;
  #onMessage: (message: FromGenerator) => void = () => {};
  #onDeath: (error: Error) => void = () => {};

  static async start(): Promise<GeneratorProcess> {
    const generator = new GeneratorProcess();
    await generator.#until((message) => (message.kind === 'ready' ? true : undefined));
    return generator;
  }

  private constructor() {
    this.#child = fork(fileURLToPath(new URL('./generator.ts', import.meta.url)), [], {
      // A young generation that its garbage does not outgrow: collections are rare and short.
      execArgv: ['--conditions=@quorate/source', '--max-semi-space-size=32'],
    });
    this.#child.on('message', (message: FromGenerator) => this.#onMessage(message));
    this.#child.on('exit', (code) => this.#onDeath(new Error(`the load generator ended with ${code}`)));
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** @param onMeasuring the warm-up is over */
  run(job: Job, onMeasuring: () => void = () => {}): Promise<JobResult> {
    const result = this.#until((message) => {
      if (message.kind === 'measuring') onMeasuring();
      if (message.kind === 'error') throw new Error(message.message);
      return message.kind === 'result' ? message.result : undefined;
    });
    this.#child.send(job);
    return result;
  }

  stop(): void {
    this.#onDeath = () => {};
    this.#child.kill('SIGKILL');
  }

  #until<T>(take: (message: FromGenerator) => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#onDeath = reject;
      this.#onMessage = (message) => {
        try {
          const taken = take(message);
          if (taken !== undefined) resolve(taken);
        } catch (error) {
          reject(error);
        }
      };
    });
  }
}
