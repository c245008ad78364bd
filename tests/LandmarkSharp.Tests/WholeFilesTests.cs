namespace LandmarkSharp.Tests;

/// <summary>Folders that are written whole.</summary>
public sealed class WholeFilesTests
{
    [Fact]
    public void AFolderIsReplacedAndItsNeighboursStay()
    {
        using var folder = new TemporaryFolder();
        string[] names = ["model", "model.old", "model.bak"];
        foreach (var name in names)
        {
            Directory.CreateDirectory(folder[name]);
            File.WriteAllText(Path.Combine(folder[name], "before"), name);
        }
        WholeFiles.WriteFolder(folder["model"], partial => File.WriteAllText(Path.Combine(partial, "after"), ""));
        Assert.Equal(["after"], Directory.EnumerateFileSystemEntries(folder["model"]).Select(Path.GetFileName));
        Assert.Equal(names.Order(), Directory.EnumerateDirectories(folder["."]).Select(Path.GetFileName).Order());
        foreach (var name in names[1..]) Assert.Equal(name, File.ReadAllText(Path.Combine(folder[name], "before")));
    }
}
