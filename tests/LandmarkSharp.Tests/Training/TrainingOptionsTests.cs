using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training;

public sealed class TrainingOptionsTests
{
    private const string Good = """{"sources": {"books": 1}, "stages": [{"window": 512, "rows": 4}]}""";

    [Fact]
    public void ARecipeIsReadAndWrittenInItsOwnWords()
    {
        var options = TrainingOptions.Parse(
            """
            {
              // A comment, and a comma too many.
              "hidden_size": 128, "key_value_heads": 2, "block_tokens": 31, "sources": {"books": 3, "letters": 0.5},
              "stages": [{"window": 256, "rows": 8, "accumulate": 2, "task_share": 0}, {"from_step": 100, "window": 512}],
              "peak_rate": 0.003, "compute_type": "float32", "task_shares": {"pass_key": 1, "chain": 0.25},
            }
            """, "it");
        Assert.Equal((128, 2, 31, 0.003), (options.HiddenSize, options.KeyValueHeads, options.BlockTokens, options.PeakRate));
        Assert.Equal(0.5, options.Sources["letters"]);
        Assert.Equal([0, 0, 100, 100], new long[] { 0, 99, 100, 5000 }.Select(s => options.Stage(s).FromStep));
        Assert.Equal(2, options.Stage(0).Accumulate);
        Assert.Equal([(TaskFamily.PassKey, 1), (TaskFamily.Chain, 0.25)], options.TaskShares.Select(s => (s.Key, s.Value)));
        Assert.Equal(options.ToJson(), TrainingOptions.Parse(options.ToJson(), "again").ToJson());
    }

    [Theory]
    [InlineData("\"rate\": 1", "'rate'")]
    [InlineData("\"steps\": \"many\"", "'steps'")]
    [InlineData("\"steps\": 0", "steps")]
    [InlineData("\"warm_up\": -1", "warm_up")]
    [InlineData("\"peak_rate\": -0.001", "rates")]
    [InlineData("\"peak_rate\": 0", "rates")]
    [InlineData("\"final_rate\": -1", "rates")]
    [InlineData("\"clip\": 0", "clip")]
    [InlineData("\"weight_decay\": -0.1", "weight_decay")]
    [InlineData("\"beta1\": 1", "beta1")]
    [InlineData("\"beta2\": -0.5", "beta2")]
    [InlineData("\"top_k\": 0", "top_k")]
    [InlineData("\"rope_theta\": 0", "rope_theta")]
    [InlineData("\"answer_weight\": 0", "answer_weight")]
    [InlineData("\"echo_weight\": -1", "echo_weight")]
    [InlineData("\"task_text_weight\": -0.1", "task_text_weight")]
    [InlineData("\"architecture\": \"gpt2\"", "'architecture'")]
    [InlineData("\"vocabulary_multiple\": 0", "vocabulary_multiple")]
    [InlineData("\"window_blocks\": 0", "window_blocks")]
    [InlineData("\"compute_type\": \"float16\"", "float16")]
    [InlineData("\"sources\": {}", "sources")]
    [InlineData("\"sources\": {\"books\": -1}", "sources")]
    [InlineData("\"stages\": []", "stage")]
    [InlineData("\"stages\": [{\"from_step\": 5}]", "from_step")]
    [InlineData("\"stages\": [{}, {\"from_step\": 9}, {\"from_step\": 9}]", "from_step")]
    [InlineData("\"stages\": [{\"window\": 127}]", "127")]
    [InlineData("\"stages\": [{\"rows\": 0}]", "rows")]
    [InlineData("\"stages\": [{\"accumulate\": 0}]", "accumulate")]
    [InlineData("\"stages\": [{\"task_share\": 1.5}]", "task_share")]
    [InlineData("\"stages\": [{\"tasks\": 1}]", "'stages[0].tasks'")]
    [InlineData("\"sources\": null", "'sources'")]
    [InlineData("\"stages\": null", "'stages'")]
    [InlineData("\"stages\": [null]", "stage")]
    [InlineData("\"task_shares\": null", "'task_shares'")]
    [InlineData("\"task_shares\": {\"riddle\": 1}", "'task_shares.riddle'")]
    [InlineData("\"task_sources\": null", "'task_sources'")]
    [InlineData("\"task_sources\": [null]", "task_sources")]
    [InlineData("\"compute_type\": null", "'compute_type'")]
    [InlineData("\"landmark_loss\": \"doubled\"", "'landmark_loss'")]
    [InlineData("\"stages\": [{}, {\"from_step\": 1000}]", "from_step 1000")]
    [InlineData("\"stages\": [{\"window\": 259}]", "255 regular tokens")]
    [InlineData("\"block_tokens\": 0, \"position_jump\": 3", "without landmarks")]
    [InlineData("\"block_tokens\": -3", "block_tokens")]
    [InlineData("\"recurrence\": {}", "block_tokens 0")]
    [InlineData("\"block_tokens\": 0, \"recurrence\": {\"window\": 0}", "recurrence")]
    [InlineData("\"block_tokens\": 0, \"recurrence\": {\"cache\": -1}", "recurrence")]
    [InlineData("\"block_tokens\": 0, \"recurrence\": {\"memory\": 1}", "'recurrence.memory'")]
    [InlineData("\"block_tokens\": 0, \"recurrence\": {\"window\": 512}", "give a stage more than 512")]
    public void AValueThatCannotBeIsNamed(string field, string named)
    {
        var json = "{" + field + "," + Good[1..];
        if (field.StartsWith("\"sources\"", StringComparison.Ordinal)) json = """{"stages": [{}], """ + field + "}";
        if (field.StartsWith("\"stages\"", StringComparison.Ordinal)) json = """{"sources": {"books": 1}, """ + field + "}";
        var error = Assert.Throws<LandmarkException>(() => TrainingOptions.Parse(json, "my.json"));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.DoesNotContain(nameof(LandmarkSharp), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[1]")]
    [InlineData("{\"steps\": 1")]
    [InlineData("steps: 5")]
    public void AFileThatIsNoRecipeIsNamed(string text)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["r.json"], text);
        var error = Assert.Throws<LandmarkException>(() => TrainingOptions.Load(folder["r.json"]));
        Assert.Contains("r.json", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(nameof(LandmarkSharp), error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "nowhere.json",
            Assert.Throws<LandmarkException>(() => TrainingOptions.Load(folder["nowhere.json"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void AWindowWithoutTasksMayBeShort()
    {
        TrainingOptions Read(string stage) => TrainingOptions.Parse($$"""{"sources": {"books": 1}, "stages": [{{stage}}]}""", "it");
        Assert.Equal(260, Read("""{"window": 260}""").Stages[0].Window);
        Assert.Equal(128, Read("""{"window": 128, "task_share": 0}""").Stages[0].Window);
    }

    [Theory]
    [InlineData("recipe.json")]
    [InlineData("recipe-continued.json")]
    public void TheRecipesThatShipMakeTheModelThatShips(string recipe)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "models", "recipe.json"))) folder = folder.Parent;
        var models = Path.Combine(folder.FullName, "models");
        var ships = ConfigFile.Load(Path.Combine(models, "landmark-10m"));
        var made = TrainingOptions.Load(Path.Combine(models, recipe))
            .Model(ships.Landmark!.Id, ships.EosIds.Single(), ships.TokenizerFingerprint!) with
        {
            BosId = Tokenizer.Load(Path.Combine(models, "landmark-10m")).BosId,
        };
        string Written(ModelConfig config, string name)
        {
            using var to = new TemporaryFolder();
            ConfigFile.Save(config, to[name]);
            return File.ReadAllText(Path.Combine(to[name], "config.json"));
        }
        Assert.Equal(Written(ships, "ships"), Written(made, "made"));
    }

    [Fact]
    public void ATransformerXLHasThePapersWindowsUnlessToldOtherwise()
    {
        TrainingOptions Read(string recurrence) => TrainingOptions.Parse($$"""{"block_tokens": 0, "recurrence": {{recurrence}},{{Good[1..]}}""", "it");
        Assert.Equal(new Recurrence { Window = 256, Cache = 256 }, Read("{}").Model(300, 2, "f").Recurrence);
        Assert.Equal(new Recurrence { Window = 100, Cache = 256 }, Read("{\"window\": 100}").Model(300, 2, "f").Recurrence);
        Assert.Null(Read("null").Model(300, 2, "f").Recurrence);
    }

    [Fact]
    public void TheModelIsTheRecipes()
    {
        var model = TinyRun.Recipe.Model(vocabulary: 300, endOfText: 2, fingerprint: "f");
        Assert.Equal(
            (301, 300, 15, 512),
            (model.VocabularySize, model.Landmark!.Id, model.Landmark.BlockTokens, model.Landmark.TrainContext));
        Assert.Equal([2], model.EosIds);
        Assert.Equal(LandmarkLoss.Ignored, model.Landmark.Loss);
        var predicted = TrainingOptions.Parse("{\"landmark_loss\": \"predicted\"," + Good[1..], "it");
        Assert.Equal(LandmarkLoss.Predicted, predicted.Model(300, 2, "f").Landmark!.Loss);
        Assert.Equal("f", model.TokenizerFingerprint);
        var odd = TinyRun.Recipe with { Heads = 3, KeyValueHeads = 2 };
        Assert.Throws<LandmarkException>(() => odd.Model(300, 2, "f"));
    }
}
