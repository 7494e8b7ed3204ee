"""The compact model's own vocabulary: byte-level BPE in RoBERTa's format, made from generated sentences."""
import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from .synthetic.sentences import corpus

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
PAD = 1


def clean(text):
    """The published clean-up of a sentence."""
    return " ".join(text.lower().split())


def make(folder, sentences=20000, merges=400, seed=0):
    """Writes tokenizer.json, vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    byte_symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.train_from_iterator(corpus(sentences, seed), trainers.BpeTrainer(
        vocab_size=len(byte_symbols) + merges, initial_alphabet=byte_symbols, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pairs = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned["merges"]]
    ordered = sorted(learned["vocab"], key=learned["vocab"].get)
    vocab = {token: i for i, token in enumerate(SPECIAL + tuple(ordered) + ("<mask>",))}

    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token=None, continuing_subword_prefix="",
                                     end_of_word_suffix="", fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True,
                                                            add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(t, normalized=True, special=True) for t in SPECIAL])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))

    def write(name, value):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    write("vocab.json", vocab)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs), encoding="utf-8")
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
             "unk_token": "<unk>", "mask_token": "<mask>"}
    write("special_tokens_map.json", names)
    write("tokenizer_config.json", {**names, "add_prefix_space": False, "errors": "replace", "model_max_length": 512,
                                    "tokenizer_class": "RobertaTokenizer", "trim_offsets": True})
    return len(vocab)


class SentenceTokenizer:
    """Sentences -> padded ids and mask; remembers what it has seen."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.vocab_size = self.tokenizer.get_vocab_size()
        self.seen = {}

    def ids(self, text):
        text = clean(text)
        if text not in self.seen:
            self.seen[text] = self.tokenizer.encode(text).ids
        return self.seen[text]

    def __call__(self, texts, multiple=1):
        """-> input_ids, attention_mask, LongTensors [P,S]; S is a multiple of `multiple`"""
        rows = [self.ids(t) for t in texts]
        length = -(-max(map(len, rows)) // multiple) * multiple
        ids = torch.full((len(rows), length), PAD)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row)
        return ids, (ids != PAD).long()
