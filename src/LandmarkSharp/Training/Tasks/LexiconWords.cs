namespace LandmarkSharp.Training.Tasks;

/// <summary>The word lists of a <see cref="Lexicon"/>; those that both splits share are static.</summary>
internal sealed record LexiconWords(
    string Names,
    string Cities,
    string ThingNouns,
    string ThingAdjectives,
    string ObjectNouns,
    string ObjectAdjectives,
    string Roles)
{
    public static readonly LexiconWords Training = new(
        Names: """
            Alice Bob Carol David Emma Frank Grace Henry Irene Jack Kate Louis Maria Nathan Olivia Peter Quentin Rose
            Samuel Tessa Victor Wanda Xavier Yvonne Zoe Adam Bella Charles Daniel Edith Felix George Hannah Isaac Julia
            Karl Laura Martin Nora Oscar Paula Richard Sarah Thomas Ursula Vera Walter Anna Boris Clara Dora Edward
            Fiona Gilbert Helen Ivan Jane Kevin Linda Michael Nina Otto Patrick Rachel Simon Teresa William Arthur
            Beatrice Conrad Diana Ernest Flora Gordon Harriet Ida James Katherine Leo Margaret Nicholas Ophelia Philip
            Rebecca Stephen Theodore Violet Albert Brenda Cyril Dorothy Eric Florence Gregory Hilda Joseph Lucy Mark
            Mary John Paul Ruth Susan Robert Elizabeth Anthony Barbara Catherine Dennis Eleanor Francis Gerald Howard
            Isabel Jonathan Kenneth Leonard Matilda Norman Pamela Ralph Sylvia Timothy Vincent
            """,
        Cities: """
            London Paris Berlin Madrid Rome Vienna Prague Warsaw Lisbon Dublin Oslo Cairo Tokyo Delhi Boston Chicago
            Denver Dallas Seattle Geneva Athens Moscow Budapest Brussels Hamburg Munich Milan Venice Naples Seville
            Oxford York Glasgow Leeds Bristol Toronto Sydney Lima Bogota Havana Nairobi Tunis Baghdad Damascus
            Jerusalem Bethlehem Corinth Babylon Ephesus Philadelphia Baltimore Richmond
            """,
        ThingNouns:
            "pass key, pass code, secret number, access code, PIN, phone extension, ticket number, code, number, "
            + "door code, locker number, account number, serial number, order number, seat number, magic number, "
            + "lucky number, invoice number, security code, gate code, flight number, badge number, key, id, "
            + "room number, case number, house number, bus number, password, magic word, code word, secret word, "
            + "index, entry code, log number, customer number, identifier, parcel number, page number, score, answer, "
            + "tag, secret, value, position, level, weight, height, amount, total, balance, price, size, width, length, "
            + "alarm code, phone number, train number, record number, file number, meter reading, counter, result",
        ThingAdjectives: """
            secret private hidden special important red blue green white second third first last old new main north
            south east west garage office library kitchen school hotel museum station bank farm church garden cellar
            attic winter summer morning evening final personal public royal upper lower inner outer front back spare
            """,
        ObjectNouns: """
            lamp chair table book ring hat coat bicycle clock mirror box cup plate knife spoon basket bag boat cart
            horse dog cat violin drum flute guitar painting letter map coin key chain rope tent blanket carpet bottle
            candle umbrella glove shoe boot scarf belt sword shield helmet wagon ladder hammer saw bell vase statue necklace
            watch camera radio wheel bucket barrel pillow curtain desk bench piano kite doll puppet
            """,
        ObjectAdjectives: """
            red blue green yellow black white grey brown golden silver old new small large tiny heavy broken shiny
            wooden iron glass paper leather woollen round square long short painted rusty dusty antique plain striped
            """,
        Roles: """
            baker farmer teacher doctor captain soldier merchant king queen bishop miller shepherd carpenter gardener
            butcher tailor cook driver porter guard clerk lawyer judge nurse painter singer poet hunter fisherman
            """);

    public static readonly LexiconWords HeldOut = new(
        Names: """
            Agatha Bernard Cecilia Duncan Estelle Ferdinand Gwendolyn Horace Imogen Jasper Kirsten Lambert Miranda
            Nigel Octavia Percival Rosalind Sebastian Tabitha Ulrich Valentine Winifred
            """,
        Cities: """
            Stockholm Helsinki Zurich Krakow Porto Marseille Edinburgh Montreal Santiago Manila Singapore Melbourne
            Casablanca Antwerp Salzburg Palermo
            """,
        ThingNouns:
            "vault sequence, safe cipher, beacon frequency, voucher, docket, shelf mark, warehouse slot, "
            + "launch sequence",
        ThingAdjectives: "ancient crystal lunar distant sealed marble copper hollow",
        ObjectNouns: """
            telescope lantern chessboard anchor compass harp saddle tapestry goblet sundial typewriter hourglass
            """,
        ObjectAdjectives: "bronze crimson ivory velvet carved polished gilded faded",
        Roles: "astronomer blacksmith locksmith librarian lighthouse-keeper cartographer");

    public static readonly string[] Colours = Lexicon.Words("""
        red blue green yellow black white grey brown orange purple pink violet silver gold crimson scarlet
        """);

    public static readonly string[] Animals = Lexicon.Words("""
        dog cat horse cow sheep goat pig rabbit fox wolf bear lion tiger deer mouse rat owl eagle crow swan goose duck
        hen frog snake turtle whale shark salmon bee ant spider camel donkey monkey parrot
        """);

    public static readonly string[] Foods = Lexicon.Words("""
        bread cheese butter milk honey rice soup beef pork fish eggs apples pears grapes plums cherries figs dates nuts
        cake pie pudding porridge cabbage carrots onions potatoes beans mushrooms salad tea coffee wine cider
        """);

    public static readonly string[] Jobs = Lexicon.Words("""
        baker farmer teacher doctor captain soldier merchant miller shepherd carpenter gardener butcher tailor cook
        driver porter guard clerk lawyer judge nurse painter singer poet hunter fisherman printer weaver sailor mason
        """);

    public static readonly string[] CommonNouns = Lexicon.Words("""
        house river mountain garden road bridge tree forest field stone wall door window table bread water fire wind
        rain snow sun moon star cloud sea ship island king queen army city village church school market farmer child
        woman man horse dog bird fish flower apple book letter song story dream war peace law king money gold silver
        bell clock lamp candle chair bed roof kitchen street corner hill valley lake shore harbour train station
        soldier doctor teacher judge lawyer writer painter music paper pen sword shield castle tower gate
        """);

    public static readonly string[] CommonAdjectives = Lexicon.Words("""
        old new young small large long short high low deep dark bright cold warm quiet loud slow quick heavy light
        soft hard sweet bitter poor rich kind proud brave weak strong wise strange common distant ancient broken empty
        full narrow wide gentle wild calm
        """);

    public static readonly string[] CommonVerbs = Lexicon.Words("""
        saw found kept left met followed passed watched crossed carried reached knew loved feared helped heard
        remembered forgot painted built sold bought opened closed washed moved lifted touched guarded visited
        """);
}
