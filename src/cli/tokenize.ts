import type { Command } from 'commander';
import { openModelFolder } from '../model/model-folder.js';
import { interruption } from './interruption.js';
import { checkNoEmptySentence } from './option-values.js';
import { print } from './standard-output.js';

/** `rvos tokenize`: what the text encoder sees of sentences. */
export function registerTokenize(program: Command): void {
  program
    .command('tokenize')
    .summary('show how sentences are cleaned and cut into tokens')
    .description('Shows how sentences are cleaned and cut into tokens: what the text encoder sees.')
    .argument('<sentences...>', 'one quoted sentence each; after -- they may begin with a dash')
    .option('--model <folder or name>', 'model folder, or a model that comes with rvos', 'compact')
    .option('--json', 'print [{"text", "cleaned", "ids", "tokens"}, …]')
    .addHelpText('after', '\nExample:\n  rvos tokenize --model models/mttr --json -- "The DOG on the left"')
    .action(async (sentences: string[], options: { model: string; json?: boolean }) => {
      checkNoEmptySentence(sentences);
      const model = await openModelFolder(options.model, { signal: interruption() });
      const tokenizer = await model.tokenizer();
      const prepared = sentences.map((sentence) => {
        const { text, cleaned, ids, tokens } = tokenizer.prepare(sentence);
        return { text, cleaned, ids, tokens };
      });
      if (options.json) {
        print(`${JSON.stringify(prepared)}\n`);
        return;
      }
      for (const { cleaned, ids, tokens } of prepared) {
        print(`${cleaned}\n${tokens.map((token, i) => `  ${String(ids[i]).padStart(6)}  ${token}\n`).join('')}`);
      }
    });
}
