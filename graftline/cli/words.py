"""What to build, in words: from the command line or from a file."""

from pathlib import Path

from graftline.errors import UserError
from graftline.request import MOST_CHARACTERS


def read_words(prompt: str, prompt_file: Path | None) -> str:
    """The request as the person gave it; empty when they gave none.

    Raises:
        UserError: it was given twice, says nothing, is too long, or its file cannot be read.
    """
    if prompt and prompt_file is not None:
        raise UserError("say what to build with --prompt or with --prompt-file, not with both")
    if prompt_file is None:
        words = prompt
    else:
        try:
            words = prompt_file.read_bytes().decode()
        except OSError as error:
            raise UserError(f"{prompt_file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{prompt_file}: this is not UTF-8 text") from error
        if not words.strip():
            raise UserError(f"{prompt_file}: there is nothing in it")
    if len(words) > MOST_CHARACTERS:
        raise UserError(f"a request has at most {MOST_CHARACTERS} characters, this one has {len(words)}")
    return words
