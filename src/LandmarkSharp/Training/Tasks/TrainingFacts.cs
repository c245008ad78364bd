namespace LandmarkSharp.Training.Tasks;

/// <summary>The kinds of facts and their wordings that training rows are made of.</summary>
internal static class TrainingFacts
{
    private const string Values =
        "[{number}|{number}|{number}|{number}|{number}|{code}|{letters}|{word}|{invented}|{adjective} {noun}]";

    private static readonly Template[] ThingStatements =
    [
        "The {S} is {V}.",
        "The {S} is {V}. Remember it. {E} is the {S}.",
        "The {S} is {V}. [Remember it|Keep it in mind|Do not forget it|Memorize it]. The {S} is {E}.",
        "[Remember|Note|Keep in mind|Memorize|Do not forget|Please remember]: the {S} is {V}.",
        "[Remember|Note|Please note|Keep in mind|Do not forget] that the {S} is {V}.",
        "[Here is|This is] the {S}: {V}.",
        "{^S}: {V}.",
        "{^S} = {V}",
        "The {S} [you need|you will be asked for|to remember] is {V}.",
        "[You can use|Use|Always use] {V} as the {S}.",
        "{V} is the {S}. [Remember it.|Keep it.|]",
        "[My|Our|Your] {S} is {V}.",
        "[The {S} has been|They have|Someone has] [changed to|set to|fixed at] {V}, and that is the {S} now.",
        "[By the way|Also|One more thing], the {S} is {V}.",
        "[Important|Attention|Notice]: {S} {V}.",
        "They told me that the {S} [is|was] {V}[|, and I wrote it down|, which surprised everyone].",
        "{person} said: \"The {S} is {V}.\"",
        "<{S}> {V} </{S}>",
    ];

    private static readonly Template[] ThingQuestions =
    [
        "What is the {S}? The {S} is {A}",
        "What was the {S}? The {S} was {A}",
        "[Question|Q]: What is the {S}?[\n| ][Answer|A]: {A}",
        "[Tell me|Give me|Say|Repeat] the {S}. The {S} is {A}",
        "The {S} [is|was] {A}",
        "Do you remember the {S}? [Yes, it is|It is|The {S} is] {A}",
        "{^S}: {A}",
        "{^S} = {A}",
        "I [said|told you] that the {S} is {A}",
        "[As mentioned|As said|As written] [above|before|earlier], the {S} is {A}",
        "You were asked to remember the {S}. It is {A}",
        "[So|Now|Then] what is the {S}? It is {A}",
        "The {S} mentioned in the text is {A}",
        "Which {S} was [given|named|mentioned]? {A}",
        "Find the {S} in the text above. The {S} is {A}",
        "<{S}> {A}",
    ];

    public static IReadOnlyList<FactSchema> All { get; } =
    [
        new(TaskFamily.Key, "{thing}", Values, ThingStatements, ThingQuestions) { Weight = 3 },
        new(TaskFamily.Key, "pass key", "[{number}|{digits}]", ThingStatements, ThingQuestions),

        new(TaskFamily.Keys, "{person}", Values,
        [
            "The {T} of {S} is {V}.",
            "The {T} of {S} is {V}. [Remember it.|] {E} is the {T} of {S}.",
            "{S}'s {T} is {V}.",
            "{S} has the {T} {V}.",
            "For {S}, the {T} is {V}.",
            "The {T} for {S} is {V}.",
            "{^S} uses {V} as the {T}.",
            "[Remember|Note|Keep in mind] that the {T} of {S} is {V}.",
            "The {T} that belongs to {S} is {V}.",
            "{^S}: {T} {V}.",
            "{V} is the {T} of {S}.",
            "{^S} was given the {T} {V}[|, as everyone knew|, and nobody else has it].",
        ],
        [
            "What is the {T} of {S}? The {T} of {S} is {A}",
            "What is {S}'s {T}? {S}'s {T} is {A}",
            "What is {S}'s {T}? It is {A}",
            "The {T} of {S} is {A}",
            "{S}'s {T} is {A}",
            "[Question|Q]: What is the {T} [of|for] {S}?[\n| ][Answer|A]: {A}",
            "[Tell me|Give me|Say|Repeat] the {T} of {S}. The {T} of {S} is {A}",
            "Which {T} does {S} have? {^S} has the {T} {A}",
            "The {T} for {S} [is|was] {A}",
            "And the {T} of {S}? {A}",
            "{^S}: {T} {A}",
        ]) { Thing = "[{thing}|pass key|number|{invented} number]", Weight = 3 },

        Fact("{object}", "{person}",
            ["The {S} belongs to {V}.", "{^V} owns the {S}.", "The {S} is the property of {V}.",
             "The {S} is owned by {V}.", "{^V} is the owner of the {S}.", "That {S} is {V}'s."],
            ["Who owns the {S}? The {S} belongs to {A}", "To whom does the {S} belong? It belongs to {A}",
             "The {S} belongs to {A}", "The owner of the {S} is {A}", "Who is the owner of the {S}? {A}",
             "Whose is the {S}? It belongs to {A}"]),
        Fact("{person}", "{place}",
            ["{^S} lives in {V}.", "{^S} has a house in {V}.", "The home of {S} is in {V}.",
             "{^S} moved to {V} and lives there now."],
            ["Where does {S} live? {^S} lives in {A}", "In which city does {S} live? In {A}", "{^S} lives in {A}",
             "The home of {S} is in {A}"]),
        Fact("{person}", "{colour}",
            ["{S}'s favourite colour is {V}.", "The favourite colour of {S} is {V}.",
             "Of all colours {S} likes {V} best."],
            ["What is {S}'s favourite colour? It is {A}", "The favourite colour of {S} is {A}",
             "Which colour does {S} like best? {A}"]),
        Fact("{person}", "a {job}",
            ["{^S} works as {V}.", "{^S} is {V} by trade.", "{^S} earns a living as {V}."],
            ["What does {S} do for a living? {^S} works as {A}", "{^S} works as {A}", "What is {S}'s trade? {^S} is {A}"]),
        Fact("{person}", "{food}",
            ["{^S} [ate|had] {V} for breakfast.", "For breakfast {S} had {V}."],
            ["What did {S} have for breakfast? {^S} had {A}", "For breakfast {S} had {A}"]),
        Fact("{person}", "the {object}",
            ["{^S} bought {V} at the market.", "At the market {S} bought {V}.", "{^S} came home with {V}."],
            ["What did {S} buy at the market? {^S} bought {A}", "{^S} bought {A}", "{^S} came home with {A}"]),
        Fact("{person}", "{time} on {day}",
            ["The meeting with {S} is at {V}.", "{^S} will come at {V}.", "You will meet {S} at {V}."],
            ["When is the meeting with {S}? It is at {A}", "When will {S} come? At {A}",
             "The meeting with {S} is at {A}"]),
        Fact("{person}", "{date}",
            ["{S}'s birthday is {V}.", "{^S} was born on {V}.", "The birthday of {S} is on {V}."],
            ["When is {S}'s birthday? It is {A}", "{^S} was born on {A}", "The birthday of {S} is on {A}"]),
        Fact("{^invented}", "{^invented}",
            ["The capital of {S} is {V}.", "{V} is the capital of {S}.", "In {S}, the capital city is called {V}."],
            ["What is the capital of {S}? The capital of {S} is {A}", "The capital of {S} is {A}",
             "Which city is the capital of {S}? {A}"]),
        Fact("{^invented}", "{name} {^invented}",
            ["The [king|queen|president|ruler] of {S} is {V}.", "{V} rules {S}.", "{S} is ruled by {V}."],
            ["Who rules {S}? {S} is ruled by {A}", "The ruler of {S} is {A}", "Who is the ruler of {S}? {A}"]),
        Fact("{object}", "{price}",
            ["The {S} costs {V}.", "The price of the {S} is {V}.", "They sell the {S} for {V}.",
             "{name} paid {V} for the {S}."],
            ["How much is the {S}? The {S} costs {A}", "The price of the {S} is {A}", "What does the {S} cost? It costs {A}"]),
        Fact("{object}",
            "[under|behind|near|inside|beside|above] the [{adjective} {noun}|{noun}]",
            ["The {S} is hidden {V}.", "{name} put the {S} {V}.", "You will find the {S} {V}.", "The {S} lies {V}."],
            ["Where is the {S}? The {S} is {A}", "Where is the {S} hidden? It is hidden {A}",
             "You will find the {S} {A}"]),
        Fact("{person}", "[the |]{animal}[ called {^invented}|]",
            ["{^S} keeps a pet: {V}.", "{S}'s pet is {V}.", "The pet of {S} is {V}."],
            ["Which pet does {S} keep? {S}'s pet is {A}", "The pet of {S} is {A}"]),
        Fact("{invented}", "[{invented}|{noun}|{adjective} {noun}]",
            ["The word {S} means {V}.", "{^S} means {V}.", "In their language {S} means {V}.",
             "{^S} is their word for {V}."],
            ["What does {S} mean? {^S} means {A}", "The word {S} means {A}", "What is the meaning of {S}? {A}"]),
        Fact("{person}", "{year}",
            ["{^S} was born in the year {V}.", "The year in which {S} died is {V}.", "{^S} came here in {V}."],
            ["In which year was it, for {S}? In {A}", "The year of {S} is {A}"]),
        Fact("{person}", "[{letters}|{invented}|{word} {word}]",
            ["{S}'s secret word is {V}.", "The secret word of {S} is {V}.", "Only {S} knows the secret word {V}."],
            ["What is {S}'s secret word? It is {A}", "The secret word of {S} is {A}"]),
        Fact("{^invented}", "{number} [miles|people|tons|feet|years]",
            ["{S} [counts|measures|has] {V}.", "For {S} the figure is {V}."],
            ["What is the figure for {S}? It is {A}", "For {S} the figure is {A}"]),

        Record("line {small}", Values,
            ["{S}: {V}", "{^S}: {V}", "{^S} reads {V}.", "{S} contains {V}"],
            ["What is in {S}? {A}", "{S}: {A}", "{^S}: {A}", "{^S} reads {A}"]),
        Record("[{invented}|{word}|{name}]", Values,
            ["{S}: {V}", "{S} = {V}", "{S} -> {V}", "\"{S}\": {V},", "| {S} | {V} |", "{S}\t{V}", "- {S}: {V}",
             "{S}, {V}", "set {S} to {V}"],
            ["{S}: {A}", "{S} = {A}", "{S} -> {A}", "\"{S}\": {A}", "| {S} | {A}", "What is {S}? {A}",
             "value of {S}: {A}", "print {S} {A}"]) with { Weight = 3 },
        Record("[room|seat|box|page|row|house|chapter|drawer|shelf] {small}",
            "[{number}|{person}|{object}|{invented}]",
            ["{^S} has {V}.", "In {S}: {V}.", "{^S} holds {V}.", "{^S} - {V}"],
            ["{^S} has {A}", "What is in {S}? {A}", "In {S}: {A}", "{^S} - {A}"]),
        Record("{code}", "[{name}|{object}|{number}|{invented}]",
            ["{S} {V}", "{S}: {V}", "No. {S}: {V}", "({S}) {V}"],
            ["{S} {A}", "{S}: {A}", "No. {S}: {A}", "What is {S}? {A}"]),

        new(TaskFamily.Sentence, "{name}",
            "[Yesterday|Last {day}|In {month}|One morning] {S} [bought|sold|found|lost] a {object} [in {city}|near the {noun}].",
            Retold, Recalls) { Weight = 2 },
        new(TaskFamily.Sentence, "{name}",
            "[The {adjective} {noun} {verb} {S}|{S} {verb} the {adjective} {noun}] and the {animal} {verb} the {noun}.",
            Retold, Recalls),
        new(TaskFamily.Sentence, "the {adjective} {animal}",
            "{^S} {verb} the {noun} near the {adjective} {noun}[| of {city}| of {name}].", Retold, Recalls),
        new(TaskFamily.Sentence, "{invented}",
            "The {S} is a [kind of|sort of] {adjective} {noun} that {verb} {invented} in {place}.", Retold, Recalls),
    ];

    private static Template[] Retold => ["{V}"];

    private static Template[] Recalls =>
    [
        "Repeat the sentence [about|that mentions|with] {S}: {A}",
        "What was said [about|of] {S}? {A}",
        "The sentence [about|that mentions] {S}: {A}",
        "[Recall|Quote] what the text says about {S}. {A}",
    ];

    private static FactSchema Fact(Template subject, Template value, Template[] statements, Template[] questions) =>
        new(TaskFamily.Fact, subject, value, statements, questions);

    private static FactSchema Record(Template subject, Template value, Template[] statements, Template[] questions) =>
        new(TaskFamily.Record, subject, value, statements, questions) { Dense = true };
}
