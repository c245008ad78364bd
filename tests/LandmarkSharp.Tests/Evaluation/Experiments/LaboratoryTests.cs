using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Evaluation.Experiments;

/// <summary>What a laboratory's folder keeps, and what it refuses.</summary>
public sealed class LaboratoryTests : IDisposable
{
    private readonly TinyLaboratory tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void AVariantIsTrainedOnceAndKept()
    {
        using (var lab = tiny.Open())
        {
            var variant = new Variant("landmark-1", lab.OnText(1));
            Assert.Same(lab.Engine(variant), lab.Engine(variant));
            Assert.Equal(8, lab.Engine(variant).Config.Landmark!.BlockLength);
        }
        using (var lab = tiny.Open()) _ = lab.Engine(new Variant("landmark-1", lab.OnText(1)));
        Assert.Equal(["Training landmark-1"], tiny.Said);
    }

    [Fact]
    public void MeasurementsAreTakenOnceAndOutliveTheirModels()
    {
        double Perplexity()
        {
            using var lab = tiny.Open();
            return lab.Perplexity(LanguageModelling.Landmark(lab, 1), "validation", 320, LanguageModelling.Reading(5, 2, 20));
        }

        var found = Perplexity();
        Assert.InRange(found, 1, 1000);
        Assert.Equal(
            ["Measuring perplexity of landmark-1 on validation: context 320, window 5, k 2, PerTokenAndHead, 20 kept", "Training landmark-1"],
            tiny.Said);
        Directory.Delete(tiny.Models, recursive: true);
        Assert.Equal(found, Perplexity());
        Assert.Equal(2, tiny.Said.Count);
        Assert.False(Directory.Exists(tiny.Models));
    }

    [Fact]
    public void MeasurementsKeepEveryBit()
    {
        using (var lab = tiny.Open()) lab.Measure("three", _ => [Math.PI, 1.0 / 3, 1e-300]);
        using (var lab = tiny.Open()) Assert.Equal([Math.PI, 1.0 / 3, 1e-300], lab.Measure("three", _ => throw new InvalidOperationException()));
    }

    [Fact]
    public void HeldOutTextIsWholeContextsUpToTheSize()
    {
        using var lab = tiny.Open(size: new ExperimentSize([1], HeldOut: 1000));
        Assert.Equal([300, 300, 300], lab.HeldOut("validation", 300).Select(c => c.Length));
        Assert.Equal([1001], lab.HeldOut("validation", 1001).Select(c => c.Length));
        var contexts = lab.HeldOut("validation", 500).ToArray();
        Assert.Equal(lab.HeldOut("validation", 1000).Single(), contexts[0].Concat(contexts[1]));
        Assert.Contains("has ", Assert.Throws<LandmarkException>(() => lab.HeldOut("validation", 10_000_000)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ResultsOfAnotherRecipeTextOrSizeAreRefused()
    {
        using (var lab = tiny.Open()) lab.Measure("one", _ => [1]);
        void Refused(TrainingOptions? recipe = null, ExperimentSize? size = null) => Assert.Contains(
            "results of another recipe", Assert.Throws<LandmarkException>(() => tiny.Open(recipe, size)).Message, StringComparison.Ordinal);
        Refused(TinyLaboratory.Recipe with { PeakRate = 5e-3 });
        Refused(size: new ExperimentSize([1], HeldOut: 641, Trials: 1));
        Refused(size: new ExperimentSize([1], HeldOut: 640, Trials: 2));
        // A folder from before there was a field, which the recipe leaves at its default.
        var record = Path.Combine(tiny.Tiny["lab"], "laboratory.json");
        var (now, before) = (File.ReadAllText(record), @"\u0022dropout\u0022: 0,");
        Assert.Contains(before, now, StringComparison.Ordinal);
        File.WriteAllText(record, now.Replace(before, "", StringComparison.Ordinal));
        tiny.Open(size: new ExperimentSize([1], HeldOut: 640, Trials: 1)).Dispose();
        // More seeds are more models of the same.
        tiny.Open(size: new ExperimentSize([1, 2], HeldOut: 640, Trials: 1)).Dispose();
        Directory.Delete(tiny.Tiny.Validation, recursive: true);
        Directory.Move(tiny.Tiny.Shards, tiny.Tiny.Validation);
        Directory.CreateDirectory(tiny.Tiny.Shards);
        foreach (var file in Directory.EnumerateFiles(tiny.Tiny.Validation))
            File.Copy(file, Path.Combine(tiny.Tiny.Shards, Path.GetFileName(file)));
        Refused();
    }

    [Fact]
    public void WhatIsRefusedLeavesNothing()
    {
        void Refused(string part, TrainingOptions? recipe = null, params long[] seeds) => Assert.Contains(
            part, Assert.Throws<LandmarkException>(() => tiny.Open(recipe, new ExperimentSize(seeds))).Message, StringComparison.Ordinal);
        var stage = TinyLaboratory.Recipe.Stages[0];
        Refused("has 2 stages", TinyLaboratory.Recipe with { Stages = [stage, stage with { FromStep = 1 }] }, 1);
        Refused("block_tokens 0", TinyLaboratory.Recipe with { BlockTokens = 0 }, 1);
        Refused("position_jump", TinyLaboratory.Recipe with { PositionJump = 3 }, 1);
        Refused("context_miss", TinyLaboratory.Recipe with { ContextMiss = 0.5 }, 1);
        Refused("There are no seeds");
        Refused("The seed 4 is given more than once", null, 4, 5, 4);
        using (var lab = tiny.Open(TinyLaboratory.Recipe with { Stages = [stage with { Window = 79 }] }))
        {
            foreach (var experiment in Experiment.All.Where(e => e.Name is not ("figure3" or "figure7")))
                Assert.Contains("ten blocks", Assert.Throws<LandmarkException>(() => experiment.Run(lab)).Message, StringComparison.Ordinal);
            Assert.Contains("task_share 0", Assert.Throws<LandmarkException>(
                () => Experiment.All.Single(e => e.Name == "figure3").Run(lab)).Message, StringComparison.Ordinal);
        }
        using (var lab = tiny.Open(TinyLaboratory.Recipe with { Stages = [stage with { Window = 4096, TaskShare = 0.5 }] }))
            Assert.Contains("give a window below 4096", Assert.Throws<LandmarkException>(
                () => Experiment.All.Single(e => e.Name == "figure3").Run(lab)).Message, StringComparison.Ordinal);
        using (var lab = tiny.Open(TinyLaboratory.Recipe with { Stages = [stage with { Window = 4000 }] }))
            Assert.Contains("reads contexts of 32000", Assert.Throws<LandmarkException>(() => Experiment.All[0].Run(lab)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny.Folder));
        Assert.Empty(tiny.Said);
    }

    [Fact]
    public void OneAtATimeWorksInAFolder()
    {
        using (var lab = tiny.Open())
            lab.Measure("one", _ =>
            {
                using var other = tiny.Open();
                Assert.StartsWith(
                    "Another process makes experiments in ", Assert.Throws<LandmarkException>(() => other.Measure("two", _ => [2])).Message, StringComparison.Ordinal);
                return [1];
            });
        using var next = tiny.Open();
        Assert.Equal([2], next.Measure("two", _ => [2]));
    }

    [Fact]
    public void ADamagedFileIsNamed()
    {
        using (var lab = tiny.Open()) lab.Measure("one", _ => [1]);
        File.WriteAllText(Path.Combine(tiny.Folder, "measurements.json"), """{"one": [""");
        Assert.Contains("measurements.json is not valid JSON", Assert.Throws<LandmarkException>(() => tiny.Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatWasStoppedGoesOn()
    {
        var table = Experiment.All.Single(e => e.Name == "table2");
        using (var stop = new CancellationTokenSource())
        {
            // Stopped as its first model begins to train, and then in its third measurement.
            using (var lab = tiny.Open(say: said => { if (said.StartsWith("Training", StringComparison.Ordinal)) stop.Cancel(); }, cancel: stop.Token))
                Assert.Throws<OperationCanceledException>(() => table.Run(lab));
        }
        using (var stop = new CancellationTokenSource())
        {
            using var lab = tiny.Open(say: _ => { if (tiny.Said.Count == 6) stop.Cancel(); }, cancel: stop.Token);
            Assert.Throws<OperationCanceledException>(() => table.Run(lab));
        }
        tiny.Said.Clear();
        using (var lab = tiny.Open()) Assert.Equal(9, table.Run(lab).Rows.Count);
        Assert.Equal(7, tiny.Said.Count);
        Assert.DoesNotContain(tiny.Said, s => s.StartsWith("Training", StringComparison.Ordinal));
        tiny.Said.Clear();
        using (var lab = tiny.Open()) table.Run(lab);
        Assert.Empty(tiny.Said);
    }
}
