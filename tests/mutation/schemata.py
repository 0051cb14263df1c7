"""Writes a C file that holds all its mutants, each in force when mf_mutant is its number.

Of an expression: `(MF_MUTANT(7) ? (a <= b) : (a < b))`; of a statement that is dropped:
`{ if (!MF_MUTANT(8)) call(); }`. A mutant is written with the plain text of what it holds, since
one only is in force at a time; what it stands for goes on with the mutants inside of it."""


def write(source, mutants, first):
    """The text with `mutants`, which get the numbers from `first` on."""
    places = {}
    for number, mutant in enumerate(mutants, first):
        places.setdefault((mutant.start, mutant.end), []).append((number, mutant))
    spans = sorted(places, key=lambda span: (span[0], -span[1]))
    body = _Writer(source.text, places).within((0, len(source.text)), spans)
    return f'#include "mutants.h"\n#line 1 "{source.path}"\n{body}'


class _Writer:
    def __init__(self, text, places):
        self.text = text
        self.places = places

    def within(self, outer, spans):
        """The text of `outer` with the places `spans`, all of which lie in it."""
        written, position = [], outer[0]
        while spans:
            span, *spans = spans
            inside = [s for s in spans if s[0] < span[1]]
            if inside and max(end for _, end in inside) > span[1]:
                raise ValueError(f"places overlap at {self.text[span[0]:span[1]]!r}")
            written.append(self.text[position : span[0]])
            written.append(self.place(span, self.within(span, inside)))
            spans = spans[len(inside):]
            position = span[1]
        written.append(self.text[position : outer[1]])
        return "".join(written)

    def place(self, span, plain):
        for number, mutant in reversed(self.places[span]):
            if mutant.what == "dropped":
                plain = f"{{ if (!MF_MUTANT({number}u)) {plain} }}"
            else:
                plain = f"(MF_MUTANT({number}u) ? ({mutant.replacement}) : ({plain}))"
        return plain
