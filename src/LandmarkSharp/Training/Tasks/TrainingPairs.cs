using static LandmarkSharp.Training.Tasks.PairSchema;

namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// The kinds of pairs that training rows are made of: any two things that a sort of subject has, halves of what has two, and what is
/// told in sentences of any form.
/// </summary>
internal static class TrainingPairs
{
    private static readonly (string Subject, (string Name, string Value)[] Told)[] attributes =
    [
        ("{person}",
        [
            ("number", "[{digits}|{number}]"), ("home", "{place}"), ("favourite colour", "{colour}"), ("trade", "{job}"),
            ("pet", "the {adjective} {animal}"), ("secret word", "{letters}"), ("best friend", "{name}"), ("favourite dish", "{food}"),
            ("birthday", "{date}"), ("ticket", "{code}"), ("gift", "the {object}"),
        ]),
        ("the {object}",
        [
            ("price", "{price}"), ("number", "[{digits}|{number}]"), ("owner", "{person}"), ("maker", "{^invented}"), ("year", "{year}"),
            ("colour", "{colour}"), ("place", "{place}"), ("label", "{code}"),
        ]),
        ("{place}",
        [
            ("mayor", "{person}"), ("river", "{^invented}"), ("founding year", "{year}"), ("number of people", "{number}"),
            ("best dish", "{food}"), ("market day", "{day}"), ("patron", "{name}"), ("sign", "the {adjective} {animal}"),
        ]),
    ];

    private static readonly (string One, string Other, string Both)[] halves =
    [
        ("first half", "second half", "two halves"), ("first part", "second part", "two parts"), ("beginning", "end", "beginning and end"),
        ("left half", "right half", "left and right half"), ("upper line", "lower line", "two lines"), ("front", "back", "front and back"),
        ("first word", "last word", "first and last word"),
    ];

    public static IReadOnlyList<PairSchema> All { get; } =
    [
        .. attributes.SelectMany(a => a.Told.SelectMany(
            one => a.Told.Where(other => other != one).Select(other => Attributes(a.Subject, one, other)))),
        .. halves.SelectMany(h => (string[])["{person}", "the {object}", "{place}"], (h, subject) => new PairSchema(
            Half(subject, h.One), Half(subject, h.Other),
            [
                $"What is the whole {{T}} of {{S}}? It is {{A}}",
                $"What are the {h.Both} of the {{T}} of {{S}}? They are {{A}}",
                $"Put together the {{T}} of {{S}}, {h.One} and {h.Other}: {{A}}",
                $"The {h.One} and the {h.Other} of {{S}}'s {{T}} are {{A}}",
                $"{{^S}} wants the {{T}}. What are its {h.One} and its {h.Other}? They are {{A}}",
            ])
        {
            Weight = 4,                                     // else they were 21 kinds of hundreds
        }),
        .. TrainingTellings.All,
    ];

    /// <summary>Two things that are told of a subject, each by its name.</summary>
    public static PairSchema Attributes(string subject, (string Name, string Value) one, (string Name, string Value) other) => new(
        Attribute(subject, one), Attribute(subject, other),
        [
            $"What are the {one.Name} and the {other.Name} of {{S}}? They are {{A}}",
            $"What are {{S}}'s {one.Name} and {other.Name}? {{A}}",
            $"Tell me the {one.Name} of {{S}} and the {other.Name}, too. [They are|They were|In that order:] {{A}}",
            $"The {one.Name} and the {other.Name} of {{S}} [are|were] {{A}}",
            $"What is the {one.Name} of {{S}}, and what is the {other.Name}? [They are|It is|They would be|Both are known:] {{A}}",
            $"Which {one.Name} has {{S}}, and which {other.Name}? [{{^S}} has|Those are|One after the other:] {{A}}",
            $"{{^S}}, {one.Name} and {other.Name}: {{A}}",
        ]);

    private static FactSchema Attribute(string subject, (string Name, string Value) told) => Fact(
        subject, told.Value,
        $"The {told.Name} of {{S}} is {{V}}.",
        $"{{^S}}'s {told.Name} is {{V}}.",
        $"As for {{S}}, the {told.Name} is {{V}}.",
        $"{{^S}} has {{V}} for {told.Name}.",
        $"{{name}} said that the {told.Name} of {{S}} was {{V}}.");

    private static FactSchema Half(string subject, string half) => Fact(
        subject, "[{digits}|{number}|{number}|{letters}|{word}|{invented}]",
        $"The {half} of the {{T}} of {{S}} is {{V}}.",
        $"The {half} of {{S}}'s {{T}} is {{V}}.",
        $"{{^S}}'s {{T}}, {half}: {{V}}.",
        $"Of the {{T}} of {{S}} the {half} is {{V}}.",
        $"{{V}} is the {half} of the {{T}} of {{S}}.") with
    { Thing = "{thing}" };
}
