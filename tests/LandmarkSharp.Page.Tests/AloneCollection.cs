namespace LandmarkSharp.Page.Tests;

/// <summary>Tests beside which no others run: a process has one count for all of its servers.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "Alone";
}
