using static LandmarkSharp.Training.Tasks.ChainSchema;

namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// The kinds of chains that training rows are made of: whatever leads to a sort of bridge, with whatever leads on from it.
/// So there are far more kinds than wordings, and what is learned is to go on from what was found.
/// </summary>
internal static class TrainingChains
{
    private const string Object = "{object}";
    private const string Person = "{person}";
    private const string Place = "{place}";
    private const string Code = "{code}";
    private const string Locker = "[locker|room|box|drawer|shelf] {small}";
    private const string Club = "{^invented}";

    private static readonly (FactSchema Fact, Template[] Descriptions)[] ways =
    [
        // To a thing.
        (From("{person}", Object,
            ["{^S} keeps the {T} in the {V}.", "The {T} of {S} is in the {V}.", "Inside the {V} is {S}'s {T}."],
            ["{^S} keeps the {T} in the {A}", "The {T} of {S} is in the {A}"])
            with { Thing = "[key|letter|purse|will|diary|ticket|photograph|medicine|money|{noun}]" },
            ["what holds the {T} of {S}", "the thing with {S}'s {T} in it", "what {S} keeps the {T} in"]),
        (From("{person}", Object,
            ["{^S} bought the {V}.", "The {V} was bought by {S}.", "{^S} came back with the {V}."],
            ["{^S} bought the {A}", "{^S} came back with the {A}"]),
            ["the thing that {S} bought", "what {S} bought", "what {S} came back with"]),
        (From("{person}", Object,
            ["The gift for {S} is the {V}.", "They gave {S} the {V}.", "{^S} was given the {V}."],
            ["The gift for {S} is the {A}", "They gave {S} the {A}"]),
            ["the gift for {S}", "what they gave {S}"]),
        (From("the {adjective} {animal}", Object,
            ["{^S} sleeps under the {V}.", "Under the {V} sleeps {S}."],
            ["{^S} sleeps under the {A}"]),
            ["what {S} sleeps under", "the thing above {S}"]),
        (From(Place, Object,
            ["The prize of {S} is the {V}.", "In {S} the winner gets the {V}."],
            ["The prize of {S} is the {A}", "The winner gets the {A}"]),
            ["the prize of {S}", "what the winner in {S} gets"]),
        (From(Code, Object,
            ["Ticket {S} wins the {V}.", "The {V} goes to ticket {S}.", "{S} stands for the {V}."],
            ["Ticket {S} wins the {A}", "{S} stands for the {A}"]),
            ["what ticket {S} wins", "the thing of number {S}"]),

        // To a person.
        (From("{person}", Person,
            ["The {T} of {S} is {V}.", "{S}'s {T} is {V}.", "{^V} is the {T} of {S}."],
            ["The {T} of {S} is {A}", "{S}'s {T} is {A}"])
            with { Thing = "[sister|brother|mother|father|teacher|neighbour|friend|partner|master|wife|husband|uncle|cousin]" },
            ["the {T} of {S}", "{S}'s {T}"]),
        (From("{person}", Person,
            ["{^S} works for {V}.", "{^V} employs {S}.", "The one who pays {S} is {V}."],
            ["{^S} works for {A}", "The one who pays {S} is {A}"]),
            ["the one {S} works for", "the one who pays {S}"]),
        (From(Object, Person,
            ["The {S} belongs to {V}.", "{^V} owns the {S}.", "The owner of the {S} is {V}."],
            ["The {S} belongs to {A}", "The owner of the {S} is {A}"]),
            ["the owner of the {S}", "the one who owns the {S}"]),
        (From("{thing}", Person,
            ["The {S} was given to {V}.", "{^V} has the {S}.", "Only {V} knows the {S}."],
            ["The {S} was given to {A}", "The one with the {S} is {A}"]),
            ["the one who has the {S}", "whoever got the {S}"]),
        (From(Place, Person,
            ["The mayor of {S} is {V}.", "{^V} rules {S}.", "{S} is ruled by {V}."],
            ["The mayor of {S} is {A}", "{S} is ruled by {A}"]),
            ["the ruler of {S}", "the mayor of {S}"]),
        (From("{^invented} {noun}", Person,
            ["The book {S} was written by {V}.", "{^V} wrote the book {S}."],
            ["The book {S} was written by {A}", "{S} was written by {A}"]),
            ["the author of {S}", "the one who wrote {S}"]),

        // To a place.
        (From("{person}", Place,
            ["{^S} lives in {V}.", "The home of {S} is in {V}.", "{^S} has a house in {V}."],
            ["{^S} lives in {A}", "The home of {S} is in {A}"]),
            ["the town where {S} lives", "where {S} lives"]),
        (From("{person}", Place,
            ["{^S} was born in {V}.", "{V} is where {S} was born."],
            ["{^S} was born in {A}"]),
            ["the birthplace of {S}", "the town where {S} was born"]),
        (From(Object, Place,
            ["The {S} was found in {V}.", "They found the {S} in {V}.", "In {V} they found the {S}."],
            ["The {S} was found in {A}", "They found the {S} in {A}"]),
            ["the place where they found the {S}", "the place of the {S}"]),
        (From("[train|bus|ship|coach] {small}", Place,
            ["{^S} goes to {V}.", "To {V} you take {S}.", "{^S} ends in {V}."],
            ["{^S} goes to {A}", "{^S} ends in {A}"]),
            ["the town that {S} goes to", "where {S} ends"]),

        // To something with a number.
        (From("{person}", Code,
            ["{^S} has the ticket {V}.", "The ticket of {S} is {V}.", "{V} is the ticket of {S}."],
            ["The ticket of {S} is {A}", "{^S} has the ticket {A}"]),
            ["the ticket of {S}", "{S}'s ticket"]),
        (From(Object, Code,
            ["The {S} is listed as {V}.", "In the list the {S} is {V}.", "{V} means the {S}."],
            ["The {S} is listed as {A}", "In the list the {S} is {A}"]),
            ["the entry of the {S}", "what the {S} is listed as"]),
        (From("{person}", Locker,
            ["{^S} put the {T} into {V}.", "The {T} of {S} is in {V}.", "In {V} lies {S}'s {T}."],
            ["{^S} put the {T} into {A}", "The {T} of {S} is in {A}"])
            with { Thing = "{object}" },
            ["what {S} put the {T} into", "the place of {S}'s {T}"]),
        (From("{person}", Club,
            ["{^S} plays for {V}.", "{^S} is a member of {V}.", "{V} has a new member, {S}."],
            ["{^S} plays for {A}", "{^S} is a member of {A}"]),
            ["the club of {S}", "the club that {S} plays for"]),
    ];

    private static readonly FactSchema[] ends =
    [
        To(Object, "{place}",
            ["The {S} stands in {V}.", "You can see the {S} in {V}.", "The {S} was taken to {V}.", "In {V} stands the {S}.", "By cart the {S} came to {V}."],
            ["In which town is {T}? It is in {A}", "Which town has {T}? {A}", "To which town was {T} taken? It was taken to {A}"]),
        To(Object, "{price}",
            ["The {S} costs {V}.", "The price of the {S} is {V}.", "For {V} you can buy the {S}.", "They ask {V} for the {S}."],
            ["How much is {T}? It costs {A}", "What does {T} cost? {A}", "What is the price of {T}? It is {A}"]),
        To(Object, "{number}",
            ["The number on the {S} is {V}.", "The {S} has the number {V}.", "On the {S} you can read {V}.", "Somebody wrote {V} on the {S}."],
            ["Which number is on {T}? The number is {A}", "What is the number on {T}? {A}"]),
        To(Object, "[wood|iron|gold|silver|glass|stone|paper|leather|copper|bone|wool|clay|steel|brass]",
            ["The {S} is made of {V}.", "They made the {S} of {V}.", "Out of {V} somebody made the {S}."],
            ["What is {T} made of? It is made of {A}", "Of what is {T}? Of {A}"]),
        To(Object, "{person}",
            ["The {S} belongs to {V}.", "{^V} owns the {S}.", "The owner of the {S} is {V}.", "Only {V} may use the {S}."],
            ["Who owns {T}? It belongs to {A}", "Whose is {T}? {A}", "To whom does {T} belong? To {A}"]),
        To(Object, "{year}",
            ["The {S} dates from {V}.", "The {S} was made in {V}.", "In {V} they made the {S}."],
            ["From which year is {T}? It dates from {A}", "When was {T} made? In {A}"]),
        To(Object, "[under|behind|near|beside|above] the {adjective} {noun}",
            ["The {S} is {V}.", "You will find the {S} {V}.", "{name} put the {S} {V}.", "Look for the {S} {V}."],
            ["Where is {T}? It is {A}", "Where did they put {T}? They put it {A}"]),

        To(Person, "{place}",
            ["{^S} lives in {V}.", "The home of {S} is in {V}.", "In {V} lives {S}.", "Letters for {S} go to {V}."],
            ["Where does {T} live? In {A}", "In which town does {T} live? The home is in {A}"]),
        To(Person, "a {job}",
            ["{^S} works as {V}.", "{^S} is {V} by trade.", "For a living {S} works as {V}."],
            ["What does {T} do for a living? The work is that of {A}", "What is the trade of {T}? {A}"]),
        To(Person, "[{number}|{digits}]",
            ["The number of {S} is {V}.", "{S}'s number is {V}.", "{V} is the number of {S}.", "In the lists {S} has the number {V}."],
            ["What is the number of {T}? It is {A}", "Which number has {T}? {A}", "Tell me, what number is {T}? The number is {A}"]),
        To(Person, "{date}",
            ["{^S} was born on {V}.", "{S}'s birthday is {V}.", "On {V} they celebrate the birth of {S}."],
            ["When is the birthday of {T}? It is {A}", "When was {T} born? On {A}"]),
        To(Person, "{colour}",
            ["{S}'s favourite colour is {V}.", "Of all colours {S} likes {V} best."],
            ["What is the favourite colour of {T}? It is {A}", "Which colour does {T} like best? {A}"]),
        To(Person, "the {adjective} {animal}",
            ["{^S} keeps a pet: {V}.", "The pet of {S} is {V}.", "{S}'s pet is {V}.", "At home {S} keeps {V}."],
            ["Which pet does {T} keep? It is {A}", "What is the pet of {T}? {A}"]),
        To(Person, "{letters}",
            ["{S}'s secret word is {V}.", "Only {S} knows the secret word {V}.", "To get in {S} says {V}."],
            ["What is the secret word of {T}? It is {A}", "Which secret word does {T} know? {A}"]),

        To(Place, "{person}",
            ["The mayor of {S} is {V}.", "{^V} rules {S}.", "The ruler of {S} is {V}.", "All taxes of {S} go to {V}."],
            ["Who rules {T}? It is {A}", "Who is the mayor of {T}? {A}", "Who is the ruler of {T}? The ruler is {A}"]),
        To(Place, "{number}",
            ["In {S} live {V} people.", "{S} has {V} people.", "They counted {V} people in {S}.", "There are {V} people in {S}."],
            ["How many live in {T}? There are {A}", "How many people has {T}? {A}"]),
        To(Place, "{year}",
            ["{S} was founded in {V}.", "{S} is there since {V}.", "In {V} they founded {S}.", "Nobody lived in {S} before {V}."],
            ["When was {T} founded? In {A}", "Since which year is there {T}? Since {A}"]),
        To(Place, "{invented}",
            ["{S} lies on the river {V}.", "The river through {S} is called {V}.", "A bridge at {S} spans the {V}."],
            ["On which river is {T}? It is on the {A}", "What is the river of {T} called? {A}"]),
        To(Place, "{food}",
            ["{S} is known for {V}.", "From {S} come the best {V}.", "Merchants buy in {S} their {V}."],
            ["What is {T} known for? It is known for {A}", "What comes from {T}? {A}"]),

        To(Code, "{price}",
            ["{S} costs {V}.", "For {S} they ask {V}.", "You pay for {S} no less than {V}."],
            ["What does {T} cost? It costs {A}", "How much do they ask for {T}? {A}"]),
        To(Code, "{person}",
            ["{S} was signed by {V}.", "{^V} signed {S}.", "On {S} stands the name of {V}.", "The pen that signed {S} was held by {V}."],
            ["Who signed {T}? It was signed by {A}", "Whose name stands on {T}? {A}"]),
        To(Code, "{small}",
            ["You find {S} on page {V}.", "On page {V} you find {S}."],
            ["On which page is {T}? It is on page {A}", "Which page has {T}? Page {A}"]),
        To(Code, "{date}",
            ["{S} ends on {V}.", "The last day of {S} is {V}.", "Nobody takes {S} after {V}."],
            ["When does {T} end? It ends on {A}", "What is the last day of {T}? {A}"]),

        To(Locker, "{digits}",
            ["{^S} opens with {V}.", "The code of {S} is {V}.", "{V} opens {S}.", "To open {S} you turn to {V}."],
            ["What opens {T}? It opens with {A}", "What is the code of {T}? The code is {A}", "Which number opens {T}? {A}"]),
        To(Locker, "{colour}",
            ["{^S} is painted {V}.", "The colour of {S} is {V}.", "They painted {S} in {V}."],
            ["Which colour is {T}? It is painted {A}", "What is the colour of {T}? {A}"]),
        To(Locker, "{person}",
            ["{^S} belongs to {V}.", "{^V} owns {S}.", "The owner of {S} is {V}."],
            ["Who owns {T}? It is {A}", "Whose is {T}? {A}", "Who is the owner of {T}? It belongs to {A}"]),

        To(Club, "{time} on {day}",
            ["{S} meets at {V}.", "You can meet {S} at {V}.", "The people of {S} come together at {V}."],
            ["When does {T} meet? At {A}", "At what time can you meet {T}? It is at {A}"]),
        To(Club, "{person}",
            ["{S} is led by {V}.", "{^V} leads {S}.", "The head of {S} is {V}."],
            ["Who leads {T}? It is led by {A}", "Who is the head of {T}? {A}"]),
        To(Club, "{small}",
            ["{S} has {V} members.", "There are {V} members in {S}.", "On the list of {S} are {V}."],
            ["How many members has {T}? It has {A}", "How many are there in {T}? There are {A}"]),
    ];

    public static IReadOnlyList<ChainSchema> All { get; } =
    [
        .. ways.SelectMany(way => ends
            .Where(end => end.Subject.Source == way.Fact.Value.Source)
            .Select(end => new ChainSchema(way.Fact, way.Descriptions, end))),
    ];
}
