namespace LandmarkSharp.Server.Page;

/// <summary>A document in the page's list.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Told">How it is, in words.</param>
/// <param name="Part">How much of what is happening to it has happened, from 0 to 1; null where nothing is, or it is not known.</param>
/// <param name="IsBusy">Whether something is happening to it.</param>
/// <param name="IsFailed">Whether it will never be read.</param>
public sealed record DocumentRow(string Name, string Told, double? Part = null, bool IsBusy = false, bool IsFailed = false);
