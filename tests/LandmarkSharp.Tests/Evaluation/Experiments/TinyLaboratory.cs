using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Evaluation.Experiments;

/// <summary>Experiments on models that train two steps on a small language: windows of ten blocks of 7 tokens.</summary>
internal sealed class TinyLaboratory : IDisposable
{
    public TinyRun Tiny { get; } = new();

    public static TrainingOptions Recipe { get; } = TinyRun.Recipe with
    {
        BlockTokens = 7,
        Steps = 2,
        WarmUp = 1,
        Stages = [new TrainingStage { Window = 80, Rows = 4, TaskShare = 0 }],
    };

    /// <summary>What was said in all.</summary>
    public List<string> Said { get; } = [];

    public string Folder => Tiny["lab"];

    public string Models => Path.Combine(Folder, "models");

    public Laboratory Open(
        TrainingOptions? recipe = null, ExperimentSize? size = null, Action<string>? say = null, CancellationToken? cancel = null) => new(
            recipe ?? Recipe, Tiny.Into("lab") with { ValidationShards = Tiny.Validation, ReportEvery = 100 },
            size ?? new ExperimentSize([1], HeldOut: 640, Trials: 1),
            said =>
            {
                Said.Add(said);
                say?.Invoke(said);
            },
            cancel: cancel ?? TestContext.Current.CancellationToken);

    public void Dispose() => Tiny.Dispose();
}
