"""What the Java service answers and what ours answers, to the same questions.

A *scenario* (`scenarios/`) asks a service something and keeps a *transcript* of all it saw: status, headers, frames in
order, close codes. Transcripts are *normalised* (`transcript.py`), so that ids, times and names of two runs compare as
what they mean. `compare.py` tells where two transcripts differ and which differences `docs/differences.md` announces;
`golden/` keeps the Java service's transcripts; `coverage.py` holds the scenarios against the rows of `rows.txt`, which
lists every parameter, field, command and error of the API.
"""
