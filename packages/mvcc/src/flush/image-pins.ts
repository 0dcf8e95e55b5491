/** Open images, and what must stay as it is for their sake. */
import type { ImagePin } from '../transfer/image.ts';

export class ImagePins {
  /** Compact revision of each open image: what is above it may not be removed. */
  readonly #compactRevisions = new Map<object, number>();
  /** Images whose rows are being copied: the small tables on disk stand still for them. */
  #copying = 0;
  readonly #onChange: () => void;

  /** @param onChange something may be due that was held up */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get any(): boolean {
    return this.#compactRevisions.size > 0;
  }

  /** The lowest compact revision of an open image; without one, more than any revision. */
  get lowest(): number {
    return Math.min(Number.MAX_SAFE_INTEGER, ...this.#compactRevisions.values());
  }

  get holdsRows(): boolean {
    return this.#copying > 0;
  }

  take(info: ImagePin['info'], removalFinished: number): ImagePin {
    const name = {};
    this.#compactRevisions.set(name, info.compactRevision);
    this.#copying++;
    let copying = true;
    const rowsCopied = (): void => {
      if (!copying) return;
      copying = false;
      this.#copying--;
      this.#onChange();
    };
    return {
      info,
      removalFinished,
      rowsCopied,
      release: () => {
        rowsCopied();
        if (this.#compactRevisions.delete(name)) this.#onChange();
      },
    };
  }
}
