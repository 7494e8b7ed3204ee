/** A file whose contents are known before it is downloaded. */
export interface PinnedFile {
  readonly path: string;
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
}

/** Where a model can be had. */
export type ModelSource =
  | { readonly kind: 'modelscope'; readonly id: string; readonly revision?: string | undefined }
  | {
      readonly kind: 'hf' | 'hf-space';
      readonly id: string;
      readonly revision?: string | undefined;
      readonly path?: string | undefined;
      readonly pinned?: PinnedFile | undefined;
    }
  | { readonly kind: 'drive'; readonly id: string; readonly fileName?: string | undefined }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'path'; readonly path: string };

export interface KnownModel {
  readonly name: string;
  readonly description: string;
  /** Figures that its authors published. */
  readonly figures: string;
  readonly trainedOn: string;
  /** Of the weights, as far as anybody says. */
  readonly licence: string;
  /** Tried in this order: the next where one does not have it. */
  readonly sources: readonly [ModelSource, ...ModelSource[]];
}

/** No licence of the published weights is known: the user fetches them, rvos does not ship them. */
const unstated = 'not stated for the weights (code Apache-2.0)';

/** Models that `rvos pull` knows by name. Figures: the MTTR paper and repository. */
export const knownModels: readonly KnownModel[] = [
  {
    name: 'mttr',
    description: 'MTTR as published on ModelScope, windows of 24 frames',
    figures: 'none published for this copy',
    trainedOn: 'not stated by the hub',
    licence: unstated,
    sources: [
      { kind: 'modelscope', id: 'damo/cv_swin-t_referring_video-object-segmentation' },
      // The organisation was renamed later.
      { kind: 'modelscope', id: 'iic/cv_swin-t_referring_video-object-segmentation' },
    ],
  },
  {
    name: 'mttr-refer-youtube-vos',
    description: 'the original release, window of 12 frames',
    figures: 'Refer-YouTube-VOS J&F 55.32',
    trainedOn: 'Refer-YouTube-VOS',
    licence: unstated,
    sources: [
      {
        kind: 'hf-space',
        id: 'MTTR/MTTR-Referring-Video-Object-Segmentation',
        revision: '7cdba56c2a3669956d2872ee83acd30d259bae29',
        path: 'refer-youtube-vos_window-12.pth.tar',
        pinned: {
          path: 'refer-youtube-vos_window-12.pth.tar',
          sha256: 'ee299bc1170a6f2cea9e6027dd154459ef63ba1a5dbe08857bf552d0e8aeb67e',
        },
      },
      { kind: 'drive', id: '1R_F0ETKipENiJUnVwarHnkPmUIcKXRaL', fileName: 'refer-youtube-vos_window-12.pth.tar' },
    ],
  },
  {
    name: 'mttr-a2d-w10',
    description: 'the original release, window of 10 frames',
    figures: 'A2D-Sentences mAP 46.1, JHMDB-Sentences mAP 39.2',
    trainedOn: 'A2D-Sentences',
    licence: unstated,
    sources: [{ kind: 'drive', id: '1evEmZyv82vHHpY-chvoVDjUWWW1disun', fileName: 'a2d-sentences_window-10.pth.tar' }],
  },
  {
    name: 'mttr-a2d-w8',
    description: 'the original release, window of 8 frames',
    figures: 'A2D-Sentences mAP 44.7, JHMDB-Sentences mAP 36.6',
    trainedOn: 'A2D-Sentences',
    licence: unstated,
    sources: [{ kind: 'drive', id: '1lKKeUwm-GZEAW5c3uOrl7e9bbLSPq28S', fileName: 'a2d-sentences_window-8.pth.tar' }],
  },
];

/** The tokenizer of checkpoints that come without one. */
export const robertaTokenizer: ModelSource & { readonly pinned: PinnedFile } = {
  kind: 'hf',
  id: 'FacebookAI/roberta-base',
  revision: 'e2da8e2f811d1448a5b465c236feacd80ffbac7b',
  path: 'tokenizer.json',
  pinned: {
    path: 'tokenizer.json',
    bytes: 1_355_863,
    sha256: '847bbeab6174d66a88898f729d52fa8d355fafe1bea101cf960dd404581df70e',
  },
};

export function knownModel(name: string): KnownModel | undefined {
  return knownModels.find((model) => model.name === name);
}
