import type { DataSetProblem } from './data-set.js';
import type { EvaluationSettings } from './journal.js';
import { pictureName } from './pictures.js';
import type { RankedSentence } from './results-table.js';
import type { Figures } from './summary.js';

/** Sentences shown of each kind: best, median, worst. */
const shown = 3;
/** Problems listed; all of them stand in `problems.json`. */
const listedProblems = 50;

export interface ReportInput {
  readonly settings: EvaluationSettings;
  readonly figures: Figures | undefined;
  readonly sentences: readonly RankedSentence[];
  readonly problems: readonly DataSetProblem[];
  readonly pictures: boolean;
}

/** The report as Markdown; pictures are files below `pictures/`. */
export function reportMarkdown({ settings, figures, sentences, problems, pictures }: ReportInput): string {
  const parts = [
    `# ${settings.data_set}${settings.split === null ? '' : ` (${settings.split})`}`,
    settingsTable(settings),
    figures ? figureTable(figures) : 'Nothing could be evaluated.',
    problems.length > 0 ? problemSection(problems) : 'Every sample of the data set was evaluated.',
    ...(pictures ? pictureSections(sentences) : []),
  ];
  return `${parts.join('\n\n')}\n`;
}

function settingsTable(settings: EvaluationSettings): string {
  const rows = Object.entries(settings).filter(
    ([name, value]) => value !== null && name !== 'data_set' && name !== 'split',
  );
  return [
    '| setting | |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${name.replaceAll('_', ' ')} | ${cell(String(value))} |`),
  ].join('\n');
}

function figureTable(figures: Figures): string {
  const rows = Object.entries(figures).flatMap(([name, value]): [string, string][] => {
    if (typeof value === 'object' && value !== null) {
      return Object.entries(value).map(([at, share]) => [`P@${at}`, Number(share).toFixed(4)]);
    }
    const count = ['images', 'expressions', 'annotated', 'absent'].includes(name);
    return [[labels[name] ?? name, value === null ? '—' : count ? String(value) : Number(value).toFixed(4)]];
  });
  return ['| measure | value |', '|---|---:|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

const labels: Readonly<Record<string, string>> = {
  map: 'mAP 0.5:0.95',
  ap50: 'AP 0.5',
  ap75: 'AP 0.75',
  ap_small: 'AP small',
  ap_medium: 'AP medium',
  ap_large: 'AP large',
  overall_iou: 'overall IoU',
  mean_iou: 'mean IoU',
  expressions: 'sentences',
  annotated: 'sentences with annotated frames',
  j_and_f: 'J&F',
  j: 'J',
  f: 'F',
  j_recall: 'J recall',
  f_recall: 'F recall',
  absent: 'sentences that refer to nothing',
  false_masks: 'of these with a mask',
  missed: 'sentences about an object without any mask',
  auroc: 'AUROC of the score',
};

function problemSection(problems: readonly DataSetProblem[]): string {
  const lines = problems
    .slice(0, listedProblems)
    .map(({ file, record, problem }) => `| ${cell(file)} | ${cell(record)} | ${cell(problem)} |`);
  const more =
    problems.length > listedProblems ? `\n\n… and ${problems.length - listedProblems} more in problems.json.` : '';
  return `## Not evaluated: ${problems.length}\n\n| file | record | problem |\n|---|---|---|\n${lines.join('\n')}${more}`;
}

function pictureSections(sentences: readonly RankedSentence[]): string[] {
  const ranked = sentences
    .filter((sentence): sentence is RankedSentence & { quality: number } => sentence.quality !== undefined)
    .sort((a, b) => b.quality - a.quality);
  if (ranked.length === 0) return [];
  const middle = Math.max(0, Math.floor((ranked.length - shown) / 2));
  const section = (title: string, list: typeof ranked) =>
    [
      `## ${title}`,
      ...list.map(
        ({ id, sentence, quality }) =>
          `${quality.toFixed(3)} “${cell(sentence)}” (${cell(id)})\n\n![annotated, found](pictures/${pictureName(id)})`,
      ),
    ].join('\n\n');
  return [
    'Left what is annotated, right what was found.',
    section('Best', ranked.slice(0, shown)),
    section('Median', ranked.slice(middle, middle + shown)),
    section('Worst', ranked.slice(-shown).reverse()),
  ];
}

/** Text from annotations: neither a table's bars nor markup gets through. */
function cell(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[|\\`*_[\]<>#!]/g, (character) => `\\${character}`)
    .slice(0, 300);
}
