"""Random encoders of several architectures and tokenisers, made on the spot."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import (
    BertWordPieceTokenizer,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

TEXTS = (
    "red wool scarf",
    "blue silk scarf",
    "红色 羊毛 围巾",
    "蓝色丝绸围巾",
    "écharpe en laine rouge",
    "красный шарф",
    "a lamp for the winter garden with a very long description " * 4,
    "🎁",
    "gift",
)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def _save(folder: Path, model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)  # type: ignore[operator]
    return folder


def chinese_bert(folder: Path, texts: Sequence[str] = TEXTS, seed: int = 0) -> Path:
    """Write a BERT whose tokeniser takes every Chinese character for a word."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer = BertWordPieceTokenizer(strip_accents=False)
    trainer.train_from_iterator(iter(texts), vocab_size=300, min_frequency=1, show_progress=False)
    pieces = folder / "pieces.json"
    trainer.save(str(pieces))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(pieces),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    pieces.unlink()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        intermediate_size=32,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
    )
    return _save(folder, BertModel(config), tokenizer)


def byte_roberta(folder: Path, texts: Sequence[str] = TEXTS, seed: int = 0) -> Path:
    """Write a RoBERTa with byte pairs, whose places of tokens begin after the padding's id."""
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = _fast(inner)
    torch.manual_seed(seed)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        intermediate_size=32,
        pad_token_id=1,
        type_vocab_size=1,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
    )
    return _save(folder, RobertaModel(config), tokenizer)


def multilingual_roberta(folder: Path, texts: Sequence[str] = TEXTS, seed: int = 0) -> Path:
    """Write an XLM-RoBERTa with the unigram pieces of many languages."""
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=300,
            special_tokens=SPECIAL,
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = _fast(inner)
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        intermediate_size=32,
        pad_token_id=1,
        type_vocab_size=1,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
    )
    return _save(folder, XLMRobertaModel(config), tokenizer)


def small_distilbert(folder: Path, texts: Sequence[str] = TEXTS, seed: int = 0) -> Path:
    """Write a DistilBERT, which has neither token types nor a pooler."""
    chinese_bert(folder, texts, seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=16, n_layers=3, n_heads=2, hidden_dim=32
    )
    return _save(folder, DistilBertModel(config), tokenizer)


def _fast(inner: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        model_input_names=["input_ids", "attention_mask"],
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


ARCHITECTURES: Mapping[str, Callable[[Path], Path]] = {
    "bert-chinese": chinese_bert,
    "roberta-bytes": byte_roberta,
    "xlm-roberta-unigram": multilingual_roberta,
    "distilbert": small_distilbert,
}
