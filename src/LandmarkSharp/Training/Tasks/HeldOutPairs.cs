using static LandmarkSharp.Training.Tasks.PairSchema;

namespace LandmarkSharp.Training.Tasks;

/// <summary>Kinds of pairs that training never sees, in words of their own.</summary>
internal static class HeldOutPairs
{
    public static IReadOnlyList<PairSchema> All { get; } =
    [
        new(
            Fact("{name}", "{digits}", "Customs stamped {V} into the passport of {S}."),
            Fact("{name}", "{digits}", "The luggage of {S} was tagged {V}."),
            ["What did customs stamp into the passport of {S}, and how was the luggage tagged? Stamp and tag were {A}"]),
        new(
            Fact("{object}", "{digits}", "A collector bid {V} ducats for the {S}."),
            Fact("{object}", "{name}", "The {S} was engraved by {V}."),
            ["How many ducats were bid for the {S}, and by whom was it engraved? Answered in this order: {A}"]),
        new(
            Fact("{name}", "{digits}", "On the left scrap of the map of {S} stands {V}."),
            Fact("{name}", "{digits}", "On the right scrap of the map of {S} stands {V}."),
            ["What stands on the left and on the right scrap of the map of {S}? On them stands {A}"]),
        new(
            Fact("{city}", "{name}", "The harbour pilot of {S} is called {V}."),
            Fact("{city}", "{digits}", "The lighthouse of {S} transmits on {V}."),
            ["Who is harbour pilot of {S}, and on what does the lighthouse transmit? Answered in this order: {A}"]),
        new(
            Fact("the {role}", "{city}", "By sleigh {S} travelled to {V}."),
            Fact("the {role}", "{object}", "In the snow {S} lost the {V}."),
            ["Where did {S} travel by sleigh, and what was lost in the snow? Place and loss were {A}"]),
        new(
            Fact("{thing}", "{digits}", "The outer dial of the {S} must point at {V}."),
            Fact("{thing}", "{digits}", "The inner dial of the {S} must point at {V}."),
            ["At what must the outer and the inner dial of the {S} point? They must point at {A}"]),
    ];
}
