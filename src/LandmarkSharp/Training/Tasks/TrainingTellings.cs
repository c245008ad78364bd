using static LandmarkSharp.Training.Tasks.PairSchema;

namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Pairs of what is told in sentences of any form, where the value may stand anywhere, and asked for by two clauses in one question:
/// any two tellings about a sort of subject, in either order.
/// </summary>
internal static class TrainingTellings
{
    private static readonly (string Subject, Telling[] Tellings)[] sorts =
    [
        ("{person}",
        [
            new("where does {S} live", "where is the house", "house", "{place}",
                "{^S} lives in {V}.", "In {V} stands the house of {S}."),
            new("what does {S} do for a living", "what is the work", "work", "{job}",
                "{^S} earns a living as a {V}.", "They say {S} works as a {V}."),
            new("how much did {S} pay at the inn", "what was paid at the inn", "bill", "{price}",
                "{^S} paid {V} at the inn.", "At the inn they asked {V} of {S}."),
            new("what did the doctor write on the chart of {S}", "what did the doctor write", "chart", "{digits}",
                "The doctor wrote {V} on the chart of {S}.", "On the chart of {S} the doctor wrote {V}."),
            new("which seat was kept for {S}", "which seat was kept", "seat", "{small}",
                "Seat {V} was kept for {S}.", "They kept seat {V} for {S}.", "{^S} was given seat {V}."),
            new("whom did {S} marry", "who was married", "marriage", "{person}",
                "{^S} married {V}.", "Long ago {V} was married to {S}."),
            new("what did {S} steal", "what was stolen", "theft", "the {object}",
                "{^S} stole {V}.", "It was {V} that {S} stole."),
            new("what did {S} dream of", "what was the dream of", "dream", "the {adjective} {animal}",
                "{^S} dreamt of {V}.", "At night {S} saw {V} in a dream."),
            new("how many letters did {S} write", "how many letters were written", "letters", "{number}",
                "{^S} wrote {V} letters.", "There are {V} letters by {S}."),
            new("what did they print on the ticket of {S}", "what is printed on the ticket", "ticket", "[{code}|{digits}]",
                "On the ticket of {S} they printed {V}.", "They printed {V} on the ticket of {S}."),
            new("when did {S} leave", "when was that", "departure", "{date}",
                "{^S} left on {V}.", "On {V} they saw {S} leave."),
            new("when was {S} to be woken", "when was the waking", "waking", "{time}",
                "Somebody had to wake {S} at {V}.", "At {V} they woke {S}."),
            new("what did {S} have for supper", "what was there for supper", "supper", "{food}",
                "{^S} had {V} for supper.", "For supper there was {V} for {S}."),
            new("what did the bank note beside the name of {S}", "what did the bank note", "note", "{digits}",
                "The bank noted {V} beside the name of {S}.", "Beside the name of {S} the bank noted {V}."),
            new("which colour did {S} paint the door", "how was the door painted", "paint", "{colour}",
                "{^S} painted the door {V}.", "The door of {S} was painted {V}."),
            new("how heavy was the trunk of {S}", "how heavy was the trunk", "weight", "{small} pounds",
                "The trunk of {S} weighed {V}.", "They found {V} to be the weight of the trunk of {S}."),
            new("who taught {S} to swim", "who taught swimming", "teacher", "{name}",
                "{^V} taught {S} to swim.", "{^S} learnt to swim from {V}."),
            new("what stood on the coat of {S}", "what stood on the coat", "coat", "[{digits}|{letters}]",
                "Sewn on the coat of {S} stood {V}.", "The coat of {S} had {V} sewn on it."),
            new("which room did the clerk give to {S}", "which room did the clerk give", "room", "{number}",
                "The clerk gave room {V} to {S}.", "To {S} the clerk gave room {V}."),
            new("under what word did {S} enlist", "what was the word", "word", "{invented}",
                "{^S} enlisted under the word {V}.", "Under the word {V} they enlisted {S}."),
        ]),
        ("{object}",
        [
            new("who repaired the {S}", "by whom was it repaired", "repair", "{person}",
                "The {S} was repaired by {V}.", "{^V} repaired the {S}."),
            new("how much was paid for the {S}", "what was paid for it", "payment", "{price}",
                "They paid {V} for the {S}.", "For the {S} somebody paid {V}."),
            new("what is scratched into the {S}", "what is scratched into it", "scratches", "{digits}",
                "Somebody scratched {V} into the {S}.", "Into the {S} somebody scratched {V}."),
            new("where did they bury the {S}", "where was it buried", "hiding place", "{place}",
                "They buried the {S} in {V}.", "In {V} they buried the {S}."),
            new("how many pounds does the {S} weigh", "what does it weigh", "weight", "{number}",
                "The {S} weighs {V} pounds.", "They put {V} pounds on the scales against the {S}."),
            new("who hid the {S}", "who hid it", "culprit", "{name}",
                "It was {V} who hid the {S}.", "The {S} was hidden by {V}."),
            new("when was the {S} last seen", "when was it last seen", "last sight", "{date}",
                "The {S} was last seen on {V}.", "On {V} the {S} was seen for the last time."),
            new("which page shows the {S}", "which page shows it", "page", "{small}",
                "Page {V} shows the {S}.", "The {S} is drawn on page {V}."),
            new("under which number was the {S} sold", "which number had it in the sale", "number", "{digits}",
                "The {S} was sold under number {V}.", "Under number {V} they sold the {S}."),
            new("what is the {S} made of", "what is it made of", "stuff", "[wood|iron|gold|silver|glass|stone|leather|copper|bone|clay]",
                "They made the {S} of {V}.", "Of {V} the {S} was made."),
            new("who dreams of the {S}", "who dreams of it", "dreamer", "the {role}",
                "{^V} dreams of the {S}.", "At night the {S} is dreamt of by {V}."),
            new("what did the thief leave in place of the {S}", "what did the thief leave", "exchange", "{code}",
                "In place of the {S} the thief left {V}.", "The thief left {V} in place of the {S}."),
        ]),
        ("{place}",
        [
            new("who defended {S}", "who was its defender", "defender", "{person}",
                "{^V} defended {S}.", "{S} was defended by {V}."),
            new("how many soldiers came to {S}", "how many came", "army", "{number}",
                "There came {V} soldiers to {S}.", "To {S} came {V} soldiers."),
            new("which river runs by {S}", "which river runs there", "river", "{^invented}",
                "By {S} runs the river {V}.", "The {V} runs by {S}."),
            new("when did {S} burn", "when was the fire", "fire", "{year}",
                "{S} burnt in {V}.", "In {V} there was a fire in {S}."),
            new("what opens the gate of {S}", "what opens its gate", "gate", "{digits}",
                "The gate of {S} opens with {V}.", "With {V} you open the gate of {S}."),
            new("who built the bridge of {S}", "who built its bridge", "bridge", "{name}",
                "{^V} built the bridge of {S}.", "The bridge of {S} was built by {V}."),
            new("how far is {S} from the sea", "how far is the sea", "distance", "{small} miles",
                "From {S} to the sea it is {V}.", "It takes {V} from the sea to {S}."),
            new("which train goes to {S}", "which train goes there", "train", "{number}",
                "Train {V} goes to {S}.", "To {S} goes train {V}."),
            new("what do they eat in {S}", "what do they eat there", "dish", "{food}",
                "In {S} they eat {V}.", "They eat {V} in {S}."),
            new("which animal is on the flag of {S}", "what is on its flag", "flag", "{animal}",
                "The flag of {S} shows a {V}.", "There is a {V} on the flag of {S}."),
            new("which signal is sent from the tower of {S}", "which signal is sent", "signal", "[{digits}|{letters}]",
                "From the tower of {S} they send {V}.", "They send {V} from the tower of {S}."),
        ]),
        ("{thing}",
        [
            new("what do you press first for the {S}", "what is pressed first", "beginning", "{digits}",
                "For the {S} you first press {V}.", "First you press {V} for the {S}."),
            new("what do you press last for the {S}", "what is pressed last", "end", "{digits}",
                "For the {S} you press {V} last.", "The last that you press for the {S} is {V}."),
            new("what stands above the {S}", "what stands above", "top", "[{digits}|{letters}]",
                "Above the {S} stands {V}.", "You can read {V} above the {S}."),
            new("what stands below the {S}", "what stands below", "bottom", "[{digits}|{letters}]",
                "Below the {S} stands {V}.", "You can read {V} below the {S}."),
            new("who chose the {S}", "who chose it", "author", "{name}",
                "{^V} chose the {S}.", "The {S} was chosen by {V}."),
            new("where is the {S} kept", "where is it kept", "place", "{place}",
                "They keep the {S} in {V}.", "In {V} they keep the {S}."),
        ]),
    ];

    public static IReadOnlyList<PairSchema> All { get; } =
    [
        .. sorts.SelectMany(sort => sort.Tellings.SelectMany(one =>
            sort.Tellings.Where(other => other != one).Select(other => Of(sort.Subject, one, other)))),
    ];

    private static PairSchema Of(string subject, Telling one, Telling other)
    {
        string[] leads =
        [
            "", $"{Lexicon.Capitalised(one.Cue)} and {other.Cue} [are|were] ", $"The {one.Cue} and the {other.Cue} [are|were] ",
            $"{Lexicon.Capitalised(one.Cue)}, {other.Cue}: ", "[These are|That is|One, then the other:|As asked:] ",
        ];
        return new PairSchema(
            Fact(subject, one.Value, one.Statements), Fact(subject, other.Value, other.Statements),
            [
                .. leads.SelectMany(lead => (Template[])
                [
                    $"{Lexicon.Capitalised(one.Ask)}, and {other.Then}? {lead}{{A}}",
                    $"{Lexicon.Capitalised(one.Ask)}, and {other.Ask}? {lead}{{A}}",
                    $"[Tell me|Say|Do you know|I forgot]: {one.Ask}, and {other.Then}? {lead}{{A}}",
                ]),
            ]);
    }

    /// <summary>Something that is told of a subject.</summary>
    /// <param name="Ask">A clause that asks for it and names the subject.</param>
    /// <param name="Then">The same after another, which named the subject.</param>
    /// <param name="Cue">A word for it.</param>
    /// <param name="Value">What is told.</param>
    /// <param name="Statements">How it is told.</param>
    private sealed record Telling(string Ask, string Then, string Cue, Template Value, params Template[] Statements);
}
