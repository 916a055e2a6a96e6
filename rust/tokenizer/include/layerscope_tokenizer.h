/* The C face of the Hugging Face tokenizers crate. Nothing here prints, aborts or unwinds into the caller. */
#ifndef LAYERSCOPE_TOKENIZER_H
#define LAYERSCOPE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call returns. */
enum {
  LAYERSCOPE_TOKENIZER_OK = 0,
  LAYERSCOPE_TOKENIZER_MODEL = 1,      /* the file is refused, or lacks what this text needs */
  LAYERSCOPE_TOKENIZER_INPUT = 2,      /* the text or the ids cannot be processed, or exceed a limit of steps */
  LAYERSCOPE_TOKENIZER_USAGE = 3,      /* the options make no sense */
  LAYERSCOPE_TOKENIZER_UNSUPPORTED = 4 /* the folder may be sound, but no exact tokenizer can be built from it */
};

typedef struct layerscope_tokenizer layerscope_tokenizer;

/* One encoded row; every array has `length` entries (`offsets` twice as many). */
typedef struct layerscope_encoding {
  size_t length;
  int32_t* ids;
  uint8_t* type_ids;
  uint8_t* special; /* 1 where the post-processor put a token */
  int8_t* sequence; /* 0, 1 for the pair, -1 for tokens of the post-processor; null unless asked for */
  int64_t* offsets; /* start and end in code points, -1 and -1 where sequence is -1; null unless asked for */
} layerscope_encoding;

/* Texts are UTF-8 with a length, without a final NUL. `*error` is set when a call does not return OK, to one line that
 * layerscope_tokenizer_free_text frees. */

int layerscope_tokenizer_load(const uint8_t* json, size_t size, layerscope_tokenizer** tokenizer, char** error);

/* A file of a model folder; nothing is kept of it after the call. */
typedef struct layerscope_file {
  const char* name;
  size_t name_size;
  const uint8_t* bytes;
  size_t size;
} layerscope_file;

/* The tokenizer of a folder of which these files are there: tokenizer.json, or what transformers would build from the
 * older ones. Messages begin with the name of the file that is at fault. */
int layerscope_tokenizer_load_folder(const layerscope_file* files, size_t count, layerscope_tokenizer** tokenizer,
                                     char** error);
/* Lower-cases every text before the tokenizer's own normalisation, unless that names lower-casing as a step. To be
 * called before the tokenizer is shared. */
int layerscope_tokenizer_lower_first(layerscope_tokenizer* tokenizer, char** error);
/* Takes a text that is in the vocabulary, or else its first word, as one special token wherever a row holds it; does
 * nothing where neither is there. To be called before the tokenizer is shared. */
int layerscope_tokenizer_keep_whole(layerscope_tokenizer* tokenizer, const char* text, size_t size, char** error);
void layerscope_tokenizer_free(layerscope_tokenizer* tokenizer);

/* `pair` may be null. A negative `max_length` means no limit; otherwise special tokens count towards it. `target` asks
 * for the special tokens of a translation's target. */
int layerscope_tokenizer_encode(const layerscope_tokenizer* tokenizer, const char* text, size_t text_size,
                                const char* pair, size_t pair_size, int add_special_tokens, int64_t max_length,
                                int want_offsets, int target, layerscope_encoding* encoding, char** error);
void layerscope_tokenizer_free_encoding(layerscope_encoding* encoding);

/* `*text` has `*text_size` bytes and is freed by layerscope_tokenizer_free_text. */
int layerscope_tokenizer_decode(const layerscope_tokenizer* tokenizer, const int32_t* ids, size_t count,
                                int skip_special_tokens, char** text, size_t* text_size, char** error);

/* What a chat template (Jinja, UTF-8, not trusted) makes of `context`, a JSON object of its variables. `date` is null
 * or year, month and day, what the template is told when it asks for today. MODEL: the template is at fault; INPUT: it
 * refuses the conversation, or asks for a date that is not given. */
int layerscope_chat_render(const char* template_text, size_t template_size, const char* context, size_t context_size,
                           const int32_t* date, char** text, size_t* text_size, char** error);

/* The vocabulary entry of an id, freed by layerscope_tokenizer_free_text, or null. */
char* layerscope_tokenizer_token(const layerscope_tokenizer* tokenizer, int32_t id, size_t* size);
/* The id of a vocabulary entry, or -1. */
int32_t layerscope_tokenizer_id(const layerscope_tokenizer* tokenizer, const char* token, size_t size);
/* 1 for added tokens that the file marks special. */
int layerscope_tokenizer_is_special(const layerscope_tokenizer* tokenizer, int32_t id);
/* Number of entries, added tokens included. */
int64_t layerscope_tokenizer_size(const layerscope_tokenizer* tokenizer);

void layerscope_tokenizer_free_text(char* text);

#ifdef __cplusplus
}
#endif

#endif
