import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { loadTensorRt } from '../../native/load-tensorrt.js';
import { type BatchMessage, batchChannel } from '../../scheduling/batch-channel.js';
import type { AcceptedJobs } from '../accepted-jobs.js';
import type { Job } from '../job.js';
import type { SegmentationService } from '../segmentation-service.js';

const secondsBuckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000];

/** What `/metrics` tells, in Prometheus' text format. Process memory and event loop delay come with prom-client. */
export class ServerMetrics {
  readonly registry = new Registry();
  readonly #ended = new Counter({
    name: 'rvos_jobs_ended_total',
    help: 'Jobs that ended, by state and error code',
    labelNames: ['state', 'code'] as const,
    registers: [this.registry],
  });
  readonly #queueSeconds = this.#histogram('rvos_job_queue_seconds', 'Seconds from accepted to running');
  readonly #jobSeconds = this.#histogram('rvos_job_seconds', 'Seconds from running to done');
  readonly #windowSeconds = this.#histogram('rvos_window_seconds', 'Seconds of a window from asked for to masks');
  readonly #decodeSeconds = this.#histogram('rvos_decode_seconds', "Seconds that a window's frames were waited for");
  readonly #encodeSeconds = this.#histogram('rvos_encode_seconds', "Seconds of writing one of a frame's outputs");
  readonly #batch = new Histogram({
    name: 'rvos_batch_windows',
    help: 'Windows in a batch',
    buckets: [1, 2, 4, 8, 16, 32],
    registers: [this.registry],
  });
  readonly #storeErrors = new Counter({
    name: 'rvos_store_errors_total',
    help: 'Writes of the job store that failed',
    registers: [this.registry],
  });
  readonly #windows = new Counter({
    name: 'rvos_windows_total',
    help: 'Windows computed',
    registers: [this.registry],
  });
  readonly #requests = new Histogram({
    name: 'rvos_http_request_seconds',
    help: 'Seconds of HTTP requests, by route and status',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: secondsBuckets,
    registers: [this.registry],
  });

  readonly #onBatch = (message: unknown) => this.#batch.observe((message as BatchMessage).windows);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Tells from now on what these are doing. */
  watch(jobs: AcceptedJobs, service: SegmentationService): void {
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          this.set(value());
        },
      });
    gauge('rvos_jobs_queued', 'Jobs that wait', () => jobs.waiting);
    gauge('rvos_jobs_running', 'Jobs that run', () => jobs.running);
    gauge('rvos_frame_bytes', 'Bytes of decoded frames in memory', () => service.state.frameBytes);
    gauge('rvos_decoders_waiting', 'Runs that wait for a decoder', () => service.state.waiting.decoders);
    gauge('rvos_memory_waiting', 'Runs that wait for frame memory', () => service.state.waiting.memory);
    if (service.segmenter.backend.name === 'tensorrt') this.#watchDevices();
    service.observer = {
      decoded: (seconds) => this.#decodeSeconds.observe(seconds),
      computed: (seconds) => {
        this.#windows.inc();
        this.#windowSeconds.observe(seconds);
      },
    };
    batchChannel.subscribe(this.#onBatch);
  }

  /** Counts batches no longer. */
  end(): void {
    batchChannel.unsubscribe(this.#onBatch);
  }

  /** Memory of the GPUs, whoever holds it. */
  #watchDevices(): void {
    new Gauge({
      name: 'rvos_device_memory_bytes',
      help: 'Memory of a GPU, by use',
      labelNames: ['device', 'use'] as const,
      registers: [this.registry],
      async collect() {
        const { addon } = await loadTensorRt();
        for (const { index, totalBytes, freeBytes } of addon.devices()) {
          if (freeBytes === null) continue;
          this.set({ device: index, use: 'used' }, totalBytes - freeBytes);
          this.set({ device: index, use: 'free' }, freeBytes);
        }
      },
    });
  }

  encoded(seconds: number): void {
    this.#encodeSeconds.observe(seconds);
  }

  storeFailed(): void {
    this.#storeErrors.inc();
  }

  jobStarted({ created, started }: Job): void {
    if (started !== undefined) this.#queueSeconds.observe(Math.max(0, started - created) / 1000);
  }

  jobEnded({ state, error, started, ended }: Job): void {
    this.#ended.inc({ state, code: error?.code ?? '' });
    if (state === 'done' && started !== undefined && ended !== undefined) {
      this.#jobSeconds.observe(Math.max(0, ended - started) / 1000);
    }
  }

  request(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status }, seconds);
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: secondsBuckets, registers: [this.registry] });
  }
}
